"""Numpy arrays and scalars out of a pickle that was read inertly: their bytes are taken, nothing of it is called."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.checkpoints.reading.stand_ins import Placeholder

_MOST_CHARACTERS = 2**25
_ARRAYS = ("multiarray._reconstruct", "numeric._frombuffer")


def plain_array(value: Any) -> Any:
    """Return what a value of such a pickle is as an array, a tensor or a plain value; placeholders that are none stay.

    Lists of numbers, texts, or rows of one length become arrays.
    """
    if isinstance(value, Placeholder):
        return _numpy(value)
    if isinstance(value, list | tuple) and value:
        items = [plain_array(item) for item in value]
        if all(isinstance(item, Tensor) for item in items) and len({tuple(item.shape) for item in items}) == 1:
            import torch

            return torch.stack([item.detach() for item in items])
        if all(isinstance(item, np.ndarray | np.generic | int | float | str | bytes) for item in items):
            return _stacked(items, value)
    return value


def _stacked(items: list[Any], value: Any) -> Any:
    text = [isinstance(item, str | np.str_ | bytes | np.bytes_) for item in items]
    if any(text) and not (all(text) and _is_narrow(items)):
        return value
    try:
        return np.asarray(items)
    except ValueError:
        return value


def _numpy(value: Placeholder) -> Any:
    short = value.name.partition(".")[2].removeprefix("_core.").removeprefix("core.")
    if not value.name.startswith("numpy."):
        return value
    if short == "multiarray._reconstruct" and len(value.arguments) >= 8:
        shape, dtype, fortran, content = value.arguments[-4:]
        return _from_bytes(value, content, dtype, shape=shape, order="F" if fortran else "C")
    if short == "numeric._frombuffer" and len(value.arguments) == 4:
        content, dtype, shape, order = value.arguments
        return _from_bytes(value, content, dtype, shape=shape, order=order)
    if short == "multiarray.scalar" and len(value.arguments) == 2:
        dtype, content = value.arguments
        found = _from_bytes(value, content, dtype, shape=(), order="C")
        return found if isinstance(found, Placeholder) else found[()]
    return value


def _from_bytes(value: Placeholder, content: Any, dtype: Any, *, shape: Any, order: Any) -> Any:
    """Return an array over the bytes that a file declares; `value` itself where anything does not fit."""
    kind = _dtype(dtype)
    if kind is None and isinstance(content, list) and _is_shape(shape):
        return _of_objects(value, content, shape)
    if isinstance(content, str):
        content = content.encode("latin1")
    if kind is None or not isinstance(content, bytes | bytearray) or not _is_shape(shape):
        return value
    if math.prod(shape) * kind.itemsize != len(content):
        return value
    return np.frombuffer(content, dtype=kind).reshape(shape, order="F" if order == "F" else "C")


def _is_narrow(texts: list[Any]) -> bool:
    """Say whether an array of these texts, each as wide as the longest, is not much more than the texts are."""
    return len(texts) * max(map(len, texts), default=0) <= _MOST_CHARACTERS


def _of_objects(value: Placeholder, content: list[Any], shape: tuple[int, ...]) -> Any:
    """Return an array of objects that are all text."""
    text = all(isinstance(item, str) for item in content) and len(content) == math.prod(shape) and _is_narrow(content)
    return np.asarray(content).reshape(shape) if text else value


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(isinstance(size, int) and size >= 0 for size in shape)


def _dtype(value: Any) -> np.dtype[Any] | None:
    """Return the type that a pickle describes: numbers and text of a fixed width, no objects."""
    if not isinstance(value, Placeholder) or not value.arguments:
        return None
    code = value.arguments[0]
    order = value.arguments[4] if len(value.arguments) > 4 else "<"
    if not value.name.endswith("dtype") or not isinstance(code, str) or code[:1] not in tuple("fiubSU"):
        return None
    try:
        return np.dtype((order if order in ("<", ">") else "") + code)
    except TypeError:
        return None
