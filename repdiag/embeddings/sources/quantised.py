"""Vectors of eight bits: packed signs, an affine code, or plain numbers. Which they are is asked, never guessed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.embeddings.sources.vector_options import VectorOptions

_WIDE = 200  # of 256 values: what codes and packed bits use, and counts and shares seldom do
_SATURATED = 0.5  # of the columns that reach both ends: each was given its own scale
_CODES = " (--quantised SCALE,ZERO where they are codes)"
_DENSE = 64.0  # the spread of all 256 values alike is 74
_ROWS_SEEN = 20_000


def as_numbers(
    values: Any, options: VectorOptions, beside: Callable[[str], Any], *, name: str
) -> tuple[Any, tuple[str, ...]]:
    """Return vectors as they are meant, and what is to be said of it; values that are not bytes come back unchanged.

    `beside` gives an array of the same file by its name, None where there is none: a scale that lies there is used.
    Raises `DataError` for bytes of which it is not clear what they mean.
    """
    if options.quantised is not None:
        return _told(values, options, name=name)
    array = values.numpy() if isinstance(values, Tensor) and not values.is_floating_point() else values
    part = None if isinstance(array, Tensor) or array.dtype.kind not in "iub" else np.asarray(array[:_ROWS_SEEN])
    if part is None or part.size == 0:
        return values, ()
    low, high = int(part.min()), int(part.max())
    if low < -128 or high > 255 or (low < 0 and high > 127):
        return values, ()
    scaled = None if high - low <= 1 else _scaled_by_the_file(array, beside, name=name)
    if scaled is not None:
        return scaled
    # Codes around zero are dense there; packed bits are as dense everywhere, and codes of each column fill its range.
    around_zero = low < 0 and float(part.std()) < _DENSE and not _each_column_saturates(part, -128, 127)
    plain = high - low < _WIDE or around_zero
    if plain:
        bits = " (--quantised bits reads them as signs -1 and 1)" if low >= 0 and high <= 1 else _CODES
        return values, (f"{name} are whole numbers from {low} to {high}, read as plain numbers{bits}.",)
    raise DataError(
        f"{name} are bytes: packed bits, codes of a scale or plain numbers?",
        found=f"{tuple(array.shape)} {array.dtype}, from {low} to {high}",
        hint="--quantised bits (read as signs, with Hamming distances), --quantised SCALE,ZERO (number = (byte - "
        "ZERO) x SCALE), or --quantised plain",
    )


def _each_column_saturates(part: NDArray[Any], low: int, high: int) -> bool:
    return float(((part.min(axis=0) == low) & (part.max(axis=0) == high)).mean()) >= _SATURATED


def _told(values: Any, options: VectorOptions, *, name: str) -> tuple[Any, tuple[str, ...]]:
    scale = options.scale()
    array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    if options.quantised == "plain":
        return values, (f"{name} ({array.dtype}) are read as plain numbers.",)
    if array.dtype.kind not in "iub" or (array.size and (int(array.min()) < -128 or int(array.max()) > 255)):
        hint = "leave --quantised out"
        raise DataError(f"{name} are no bytes", found=f"{tuple(array.shape)} {array.dtype}", hint=hint)
    if scale is not None:
        said = f"{name} were read as (byte - {scale[1]:g}) x {scale[0]:g}."
        return (array.astype(np.float32) - np.float32(scale[1])) * np.float32(scale[0]), (said,)
    if array.dtype.kind == "b" or (array.size and int(array.min()) >= 0 and int(array.max()) <= 1):
        said = f"{name} are bits, read as signs -1 and 1: of {array.shape[1]} bits, a cosine is 1 - 2 x Hamming / bits."
        return array.astype(np.float32) * 2.0 - 1.0, (said,)
    if array.size and int(array.min()) < 0:
        array = array.astype(np.int16) + 128  # sentence-transformers' "binary": packed bits minus 128
    bits = np.unpackbits(array.astype(np.uint8), axis=1)
    said = (
        f"{name} are {array.shape[1]} bytes of packed bits, read as {bits.shape[1]} signs -1 and 1: "
        "a cosine is 1 - 2 x Hamming distance / bits."
    )
    signs = torch.from_numpy(bits.astype(np.float32))
    return signs.mul_(2.0).sub_(1.0), (said,)


def _scaled_by_the_file(
    array: NDArray[Any], beside: Callable[[str], Any], *, name: str
) -> tuple[Any, tuple[str, ...]] | None:
    """Return the numbers of an affine code whose scale lies in the same file; None where none does."""
    found = {word: _beside(beside, word, array.shape[1]) for word in ("scale", "zero_point", "min", "max")}
    whole = array.astype(np.float32)
    if found["scale"] is not None:
        zero = found["zero_point"] if found["zero_point"] is not None else np.float32(0.0)
        return (whole - zero) * found["scale"], (f"{name} were read by the scale and zero point beside them.",)
    if found["min"] is not None and found["max"] is not None:
        lowest = float(np.iinfo(array.dtype).min) if array.dtype.itemsize == 1 else 0.0
        step = (found["max"] - found["min"]) / np.float32(255.0)
        said = f"{name} were read between the min and max beside them."
        return found["min"] + (whole - np.float32(lowest)) * step, (said,)
    return None


def _beside(beside: Callable[[str], Any], word: str, dims: int) -> Any:
    for name in (word, f"{word}s"):
        value = beside(name)
        if value is not None:
            array = np.asarray(value, dtype=np.float32).ravel()
            if array.size in (1, dims):
                return array
    return None
