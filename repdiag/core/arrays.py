"""The one door for numbers from outside: whatever holds an array becomes a tensor, or an error says why not."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import MetricError

TEXT_KINDS = "US"


def to_tensor(name: str, value: Any) -> Tensor:
    """Return tensors as they are (detached), arrays, frames and nested lists as tensors, sharing memory where they can.

    Takes any byte order, negative strides, read-only and memory-mapped arrays, long doubles. Raises `MetricError` for
    sparse tensors, masked values, text, objects that are no numbers, and rows of unlike length.
    """
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise MetricError(f"{name} must be dense", found=f"layout {value.layout}", hint="call .to_dense() first")
        return value.detach()
    array = to_array(name, value)
    if array.dtype.kind in TEXT_KINDS:
        raise MetricError(f"{name} must be numbers", found="text")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)  # nothing is written
        return torch.from_numpy(array)


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
        raise MetricError(
            f"{name} must be numbers of one kind", found=f"objects of type {', '.join(sorted(kinds)[:4])}"
        )
    return numbers
