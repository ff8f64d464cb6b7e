"""Small arrays on their way to a device, all in one copy that nobody waits for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ALIGNMENT = 16  # bytes; every number lies where a device may read it


def to_device(arrays: Sequence[NDArray[Any]], device: torch.device | str) -> list[Tensor]:
    """Return the arrays as tensors on the device, of the same types and shapes; on a CPU they share their memory.

    A copy out of ordinary memory makes the program wait until the GPU has done all that was asked of it before, and
    each costs its own start. Here the arrays are laid end to end in page-locked memory and go over in one copy.
    """
    place = torch.device(device)
    if place.type == "cpu":
        return [torch.from_numpy(array) for array in arrays]
    starts = np.cumsum([0, *(-(-array.nbytes // _ALIGNMENT) * _ALIGNMENT for array in arrays)]).tolist()
    staged = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=place.type == "cuda")
    levels = staged.numpy()
    for array, start in zip(arrays, starts, strict=False):
        levels[start : start + array.nbytes] = np.frombuffer(np.ascontiguousarray(array).data, np.uint8)
    moved = staged.to(place, non_blocking=True)
    return [_part(moved, array, start) for array, start in zip(arrays, starts, strict=False)]


def _part(moved: Tensor, array: NDArray[Any], start: int) -> Tensor:
    kind = torch.from_numpy(np.empty(0, array.dtype)).dtype
    return moved[start : start + array.nbytes].view(kind).view(array.shape)
