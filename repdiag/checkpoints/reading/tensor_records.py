"""Checks what a pickle declares about tensors before a single byte of them is mapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from repdiag.checkpoints.reading.numpy_stand_ins import plain_array
from repdiag.checkpoints.reading.stand_ins import GlobalName, Placeholder, StorageRecord, TensorRecord
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief

STORAGE_DTYPES: Mapping[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
# Types that came after typed storages.
_NEWER_TYPES = frozenset(
    f"torch.{name}"
    for name in ("uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
                 "float8_e8m0fnu")
) | {str(dtype) for dtype in STORAGE_DTYPES.values()}  # fmt: skip
_REFUSED = (
    "_rebuild_qtensor",
    "_rebuild_meta",
    "_rebuild_sparse",
    "_rebuild_nested",
    "_rebuild_wrapper",
    "_rebuild_device",
)
_LARGEST = 2**62
_LARGEST_KEY = 2**60
_MAX_DIMENSIONS = 64  # torch's own limit
_MAX_KEY = 200  # characters of a storage's name; torch numbers them


def build_storage(persistent_id: Any) -> StorageRecord:
    """Return the storage that a persistent id declares; only `("storage", type, key, location, numel)` exists."""
    parts = persistent_id if isinstance(persistent_id, tuple) and 5 <= len(persistent_id) <= 6 else (None,)
    if not isinstance(parts[0], str) or parts[0] != "storage":
        raise CheckpointError("the pickle refers to something that is not a storage", found=brief(persistent_id))
    kind, key, location, numel = parts[1:5]
    key = str(key) if _is_count(key) else key
    if not isinstance(key, str) or len(key) > _MAX_KEY or not _is_count(numel) or not isinstance(location, str | bytes):
        found = f"key {brief(key, 40)}, place {brief(location, 40)}, size {brief(numel)}"
        raise CheckpointError("a storage is declared wrongly", found=found)
    name = kind.name if isinstance(kind, GlobalName) else kind
    short = name.rpartition(".")[2] if isinstance(name, str) else brief(kind)
    if short not in STORAGE_DTYPES:
        raise CheckpointError("a tensor has a storage type that is not read", found=brief(short))
    if location in ("meta", b"meta"):
        raise CheckpointError("a tensor was saved without its values (meta device)", found=f"storage {brief(key, 40)}")
    if len(parts) == 6 and parts[5] is not None:
        raise CheckpointError("a storage that is a view of another is not read", found=f"storage {brief(key, 40)}")
    return StorageRecord(key, STORAGE_DTYPES[short], numel)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorRecord:
    del rest
    dtype = storage.dtype if isinstance(storage, StorageRecord) else torch.uint8
    return _checked(storage, dtype, offset=offset, size=size, stride=stride)


def _rebuild_tensor_v3(  # noqa: PLR0917 - the argument order is torch's
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any
) -> TensorRecord:
    del grad, hooks, rest
    said = dtype.name if isinstance(dtype, GlobalName) else brief(dtype)
    named = getattr(torch, said.removeprefix("torch."), None) if said in _NEWER_TYPES else None
    if not isinstance(named, torch.dtype) or not isinstance(storage, StorageRecord):
        raise CheckpointError("a tensor has a type that is not read", found=said)
    whole = StorageRecord(storage.key, named, storage.numel * storage.dtype.itemsize // named.itemsize)
    return _checked(whole, named, offset=offset, size=size, stride=stride)


def _checked(storage: Any, dtype: torch.dtype, *, offset: Any, size: Any, stride: Any) -> TensorRecord:
    """Return the record of a tensor that lies within its storage and is not larger than it."""
    if not isinstance(storage, StorageRecord) or not _is_shape(size) or not _is_shape(stride) or not _is_count(offset):
        found = f"size {_shape(size)}, stride {_shape(stride)}, offset {brief(offset)} in {brief(storage)}"
        raise CheckpointError("a tensor is declared wrongly", found=found)
    if len(size) != len(stride):
        raise CheckpointError("a tensor is declared wrongly", found=f"{len(size)} sizes and {len(stride)} strides")
    elements = math.prod(size)
    if elements > storage.numel:
        raise CheckpointError(
            "a tensor claims more numbers than its storage holds",
            found=f"{brief(elements)} elements in a storage of {storage.numel}",
            hint="save it again after .contiguous(), so that no value is counted twice",
        )
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if elements and last >= storage.numel:
        raise CheckpointError("a tensor reaches past its storage", found=f"element {brief(last)} of {storage.numel}")
    return TensorRecord(storage, dtype, offset, size, stride)


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= _MAX_DIMENSIONS and all(map(_is_count, value))


def _shape(value: Any) -> str:
    """Return a declared shape in a few words, whatever it is."""
    if not isinstance(value, tuple) or len(value) > 8:
        return brief(value)
    return f"({', '.join(brief(length, 20) for length in value)})"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _rebuild_parameter(data: Any, *rest: Any) -> Any:
    del rest
    return data


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, *rest: Any) -> Any:
    """Return the tensor inside a subclass of `Tensor`; the function is one of those that make plain tensors."""
    del kind, rest
    if not isinstance(function, GlobalName) or not isinstance(arguments, tuple) or len(arguments) > 16:
        raise CheckpointError("a tensor is declared wrongly", found=brief(function))
    if function.name not in _TENSORS:
        raise CheckpointError("a tensor is declared wrongly", found=function.name)
    return _TENSORS[function.name](*arguments)


def _mapping(*arguments: Any) -> dict[Any, Any]:
    """Return the dictionary of a dictionary, or of a list of pairs."""
    pairs = arguments[-1] if arguments else ()
    if isinstance(pairs, dict):
        return dict(pairs)
    if not isinstance(pairs, list | tuple):
        return {}
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise CheckpointError("the pickle makes a dictionary of what is no list of names and values")
    return {key_of(key): value for key, value in pairs}


def key_of(key: Any) -> Any:
    """Return a dictionary's key itself, or a name for one whose hash is dear, or chosen to collide with others."""
    if isinstance(key, str | bytes | bool | None) or (isinstance(key, int) and abs(key) < _LARGEST_KEY):
        return key
    known = plain_array(key) if _is_short_scalar(key) else None  # numpy's texts and numbers name rows as Python's do
    return str(known) if isinstance(known, str | np.integer) else f"<{type(key).__name__} {id(key)}>"


def _is_short_scalar(value: Any) -> bool:
    if not isinstance(value, Placeholder) or not value.name.endswith("multiarray.scalar") or len(value.arguments) != 2:
        return False
    return isinstance(value.arguments[1], str | bytes) and len(value.arguments[1]) <= _MAX_KEY


def _sequence(*arguments: Any) -> list[Any]:
    return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []


def _encode(text: Any, *encoding: Any) -> bytes:
    """Return the bytes that protocol 2 writes as text; Python's own pickler always uses latin-1."""
    usual = not encoding or (len(encoding) == 1 and isinstance(encoding[0], str) and encoding[0] == "latin1")
    if not isinstance(text, str) or not usual:
        found = ", ".join(brief(part, 20) for part in encoding[:4])
        raise CheckpointError("the pickle holds bytes in an unusual way", found=found or brief(text))
    return text.encode("latin1")


def _device(*arguments: Any) -> str:
    return ":".join(str(part)[:40] for part in arguments[:2] if isinstance(part, str) or _is_count(part))


_TENSORS: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
}
_BUILDERS: Mapping[str, Callable[..., Any]] = {
    **_TENSORS,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *arguments: _mapping(*arguments[1:]),
    "_codecs.encode": _encode,
    "builtins.set": _sequence,
    "__builtin__.set": _sequence,
    "torch.Size": lambda *arguments: tuple(_sequence(*arguments)),
    "torch.device": _device,
}
# What makes up a state dict; any other name is a foreign class, which becomes a placeholder.
_PLAIN_NAMES = frozenset(_BUILDERS) - {"collections.defaultdict"}


def is_plain(name: str) -> bool:
    """Say whether a global is one of those that make up a plain state dict."""
    module, _, short = name.rpartition(".")
    return name in _PLAIN_NAMES or (module in ("torch", "torch.storage") and short in STORAGE_DTYPES)


def copied_by_call(function: GlobalName, arguments: tuple[Any, ...]) -> int:
    """Return how many elements the call copies out of its arguments."""
    last = arguments[-1] if arguments and function.name in _BUILDERS else ()
    return len(last) if isinstance(last, list | tuple | dict) else 0


def call(function: GlobalName, arguments: tuple[Any, ...]) -> Any:
    """Return what a call recorded in the pickle stands for, without calling anything foreign."""
    short = function.name.rpartition(".")[2]
    if short.startswith(_REFUSED):
        raise CheckpointError("quantised, sparse and meta tensors are not read", found=function.name[:80])
    builder = _BUILDERS.get(function.name)
    return builder(*arguments) if builder else Placeholder(function.name, list(arguments))
