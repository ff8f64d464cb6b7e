"""Checks what a pickle declares about tensors before a single byte of them is mapped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from repdiag.checkpoints.reading.stand_ins import GlobalName, Placeholder, StorageRecord, TensorRecord
from repdiag.core.errors import CheckpointError

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
_REFUSED = (
    "_rebuild_qtensor",
    "_rebuild_meta",
    "_rebuild_sparse",
    "_rebuild_nested",
    "_rebuild_wrapper",
    "_rebuild_device",
)
_LARGEST = 2**62


def build_storage(persistent_id: Any) -> StorageRecord:
    """Return the storage that a persistent id declares; only `("storage", type, key, location, numel)` exists."""
    if not isinstance(persistent_id, tuple) or not 5 <= len(persistent_id) <= 6 or persistent_id[0] != "storage":
        raise CheckpointError("the pickle refers to something that is not a storage", found=repr(persistent_id)[:80])
    kind, key, location, numel = persistent_id[1:5]
    short = kind.name.rpartition(".")[2] if isinstance(kind, GlobalName) else str(kind)
    if short not in STORAGE_DTYPES:
        raise CheckpointError("a tensor has a storage type that is not read", found=short[:80])
    if str(location) == "meta":
        raise CheckpointError("a tensor was saved without its values (meta device)", found=f"storage {key!r:.40}")
    if not isinstance(key, str | int) or not _is_count(numel):
        raise CheckpointError("a storage is declared wrongly", found=f"key {key!r:.40}, size {numel!r:.40}")
    if len(persistent_id) == 6 and persistent_id[5] is not None:
        raise CheckpointError("a storage that is a view of another is not read", found=f"storage {key!r:.40}")
    return StorageRecord(str(key), STORAGE_DTYPES[short], numel)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> TensorRecord:
    del rest
    dtype = storage.dtype if isinstance(storage, StorageRecord) else torch.uint8
    return _checked(storage, dtype, offset=offset, size=size, stride=stride)


def _rebuild_tensor_v3(  # noqa: PLR0917 - the argument order is torch's
    storage: Any, offset: Any, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *rest: Any
) -> TensorRecord:
    del grad, hooks, rest
    named = getattr(torch, dtype.name.removeprefix("torch."), None) if isinstance(dtype, GlobalName) else None
    if not isinstance(named, torch.dtype) or not isinstance(storage, StorageRecord):
        raise CheckpointError("a tensor has a type that is not read", found=repr(dtype)[:80])
    whole = StorageRecord(storage.key, named, storage.numel * storage.dtype.itemsize // named.itemsize)
    return _checked(whole, named, offset=offset, size=size, stride=stride)


def _checked(storage: Any, dtype: torch.dtype, *, offset: Any, size: Any, stride: Any) -> TensorRecord:
    """Return the record of a tensor that lies within its storage and is not larger than it."""
    counts = [offset, *size, *stride] if isinstance(size, tuple) and isinstance(stride, tuple) else [None]
    if not isinstance(storage, StorageRecord) or not all(map(_is_count, counts)) or len(size) != len(stride):
        raise CheckpointError("a tensor is declared wrongly", found=f"size {size!r:.60}, stride {stride!r:.60}")
    elements = math.prod(size)
    if elements > storage.numel:
        raise CheckpointError(
            "a tensor claims more numbers than its storage holds",
            found=f"{elements} elements in a storage of {storage.numel}",
            hint="save it again after .contiguous(), so that no value is counted twice",
        )
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if elements and last >= storage.numel:
        raise CheckpointError("a tensor reaches past its storage", found=f"element {last} of {storage.numel}")
    return TensorRecord(storage, dtype, offset, size, stride)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST


def _rebuild_parameter(data: Any, *rest: Any) -> Any:
    del rest
    return data


def _rebuild_from_type(function: Any, kind: Any, arguments: Any, *rest: Any) -> Any:
    del kind, rest
    if not isinstance(function, GlobalName) or not isinstance(arguments, tuple):
        raise CheckpointError("a tensor is declared wrongly", found=repr(function)[:80])
    return call(function, arguments)


def _mapping(*arguments: Any) -> dict[Any, Any]:
    pairs = arguments[-1] if arguments else ()
    if isinstance(pairs, dict):
        return dict(pairs)
    return dict(pairs) if isinstance(pairs, list | tuple) else {}


def _sequence(*arguments: Any) -> list[Any]:
    return list(arguments[0]) if arguments and isinstance(arguments[0], list | tuple) else []


def _encode(text: Any, *encoding: Any) -> bytes:
    """Return the bytes that protocol 2 writes as text; Python's own pickler always uses latin-1."""
    if not isinstance(text, str) or encoding not in ((), ("latin1",)):
        raise CheckpointError("the pickle holds bytes in an unusual way", found=repr(encoding)[:80])
    return text.encode("latin1")


_BUILDERS: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": lambda *arguments: _mapping(*arguments[1:]),
    "_codecs.encode": _encode,
    "builtins.set": _sequence,
    "__builtin__.set": _sequence,
    "torch.Size": lambda *arguments: tuple(_sequence(*arguments)),
    "torch.device": lambda *arguments: ":".join(str(part)[:40] for part in arguments),
}
# What torch's own weights-only reader builds in the same way; all else becomes a placeholder here.
PLAIN_NAMES = frozenset(_BUILDERS) - {"collections.defaultdict"}


def is_plain(name: str) -> bool:
    """Say whether a global is one of those that make up a plain state dict."""
    module, _, short = name.rpartition(".")
    return name in PLAIN_NAMES or (module in ("torch", "torch.storage") and short in STORAGE_DTYPES)


def call(function: GlobalName, arguments: tuple[Any, ...]) -> Any:
    """Return what a call recorded in the pickle stands for, without calling anything foreign."""
    short = function.name.rpartition(".")[2]
    if short.startswith(_REFUSED):
        raise CheckpointError("quantised, sparse and meta tensors are not read", found=function.name[:80])
    builder = _BUILDERS.get(function.name)
    return builder(*arguments) if builder else Placeholder(function.name, list(arguments))
