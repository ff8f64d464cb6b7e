"""The one door for numbers from outside: whatever holds an array becomes a tensor, or an error says why not."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import MetricError

TEXT_KINDS = "US"
_EXACT_BYTES = 2  # whole numbers of so many bytes are exact in float32


def to_tensor(name: str, value: Any) -> Tensor:
    """Return tensors as they are (detached), arrays, frames and nested lists as tensors, sharing memory where they can.

    Takes any byte order, negative strides, read-only and memory-mapped arrays, long doubles. Raises `MetricError` for
    sparse tensors, masked values, text, objects that are no numbers, and rows of unlike length.
    """
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise MetricError(f"{name} must be dense", found=f"layout {value.layout}", hint="call .to_dense() first")
        if value.is_meta:
            raise MetricError(f"{name} must hold numbers", found="a tensor on the device meta, which holds none")
        return value.detach() if value.requires_grad else value
    array = to_array(name, value)
    if array.dtype.kind in TEXT_KINDS:
        raise MetricError(f"{name} must be numbers", found="text")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)  # nothing is written
        return torch.from_numpy(array)


def to_floating(name: str, value: Any) -> Tensor:
    """Return numbers as floating point of a kind that can be reckoned with; such tensors come back as they are.

    Whole numbers and truth values of up to two bytes become float32, longer ones float64; eight bits become float32.
    """
    tensor = to_tensor(name, value)
    if tensor.is_complex() or tensor.is_quantized:
        found = f"dtype {tensor.dtype}"
        raise MetricError(f"{name} must be real numbers", found=found, hint="convert to floating point first")
    if tensor.is_floating_point():
        return tensor.float() if tensor.itemsize == 1 else tensor
    return tensor.float() if tensor.itemsize <= _EXACT_BYTES else tensor.double()


def to_class_numbers(name: str, value: Any) -> Tensor:
    """Return whole numbers as int64, those that a frame or a text file kept as floats too."""
    tensor = to_tensor(name, value)
    if tensor.is_complex():
        raise MetricError(f"{name} must be integers", found=f"dtype {tensor.dtype}")
    if not tensor.is_floating_point():
        return tensor.long()
    missing = tensor.isnan().nonzero().flatten() if tensor.ndim == 1 else tensor.new_empty(0)
    if len(missing) > 0:
        raise _missing(name, missing.tolist(), "NaN")
    if not bool((tensor.isfinite() & (tensor == tensor.round())).all()):
        raise MetricError(f"{name} must be integers", found=f"fractions of dtype {tensor.dtype}")
    return tensor.long()


def to_class_names(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return text labels as text, bytes decoded; an empty one is no class."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    empty = np.flatnonzero(array == "")
    if len(empty) > 0:
        raise _missing(name, empty.tolist(), "empty text")
    return array


def _missing(name: str, rows: Sequence[int], found: str) -> MetricError:
    where = f"{found} in {len(rows)} rows: {listed(rows)}"
    return MetricError(
        f"{name} are missing", found=where, hint="leave these rows out, or give them a class of their own"
    )


def listed(rows: Sequence[int]) -> str:
    """Return the numbers of some rows for an error: the first five."""
    return ", ".join(str(int(row)) for row in rows[:5]) + (", ..." if len(rows) > 5 else "")


def to_array(name: str, value: Any) -> NDArray[Any]:
    """Return any array-like as an array of numbers or text that torch can share."""
    if value is None:
        raise MetricError(f"{name} are missing" if name.endswith("s") else f"{name} is missing", found="None")
    if isinstance(value, np.ma.MaskedArray) and bool(np.ma.getmaskarray(value).any()):
        count = int(np.ma.getmaskarray(value).reshape(len(value), -1).any(axis=1).sum())
        raise MetricError(f"{name} has masked values", found=f"in {count} rows", hint="drop these rows first")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise MetricError(f"{name} is not an array", found=str(error), hint="rows must have equal length") from None
    if array.dtype.kind == "O":
        array = _numbers_or_text(name, array)
    if array.dtype == np.longdouble:
        array = array.astype(np.float64)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in "biufc" + TEXT_KINDS:
        raise MetricError(f"{name} must be numbers", found=f"dtype {array.dtype}")
    return np.ascontiguousarray(array) if any(stride < 0 for stride in array.strides) else array


def _numbers_or_text(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Objects that are all text become text, all numbers numbers of one kind; anything else is named."""
    kinds = {type(item).__name__ for item in array.flat}
    if kinds <= {"str", "str_"}:
        return array.astype(str)
    try:
        numbers = None if "NoneType" in kinds or "str" in kinds else np.array(array.tolist())
    except (ValueError, TypeError):
        numbers = None
    if numbers is None or numbers.dtype.kind == "O":
        sparse = all(hasattr(item, "toarray") for item in array.flat)
        raise MetricError(
            f"{name} must be numbers of one kind",
            found=f"objects of type {', '.join(sorted(kinds)[:4])}",
            hint="it is sparse: call .toarray() first" if sparse else None,
        )
    return numbers
