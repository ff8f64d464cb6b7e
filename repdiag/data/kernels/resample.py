"""Antialiased crop, resize and flip on a GPU: `resample.resize_crops` from uint8 pixels, which reads crops alone.

Two products with matrices of weights, as a CPU does it, would multiply zeros for the most part.
"""
# mypy: disable-error-code="untyped-decorator,no-untyped-def"

from __future__ import annotations

import numpy as np
import torch
import triton
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from repdiag.config.views import Interpolation
from repdiag.core.transfer import to_device
from repdiag.data.crops import Boxes

_BLOCK = 1024


def resize_crops(
    images: Tensor, boxes: Boxes, *, size: int, flip: NDArray[np.bool_], interpolation: Interpolation
) -> Tensor:
    """Return each sample's box at `size` x `size`, mirrored where asked: uint8 [B, 3, H, W] to float32 in [0, 1]."""
    count, planes, height, width = images.shape
    box, flipped = to_device([boxes.astype(np.int32), flip.astype(np.int32)], images.device)
    across = torch.empty(count, planes, height, size, device=images.device)
    framed = torch.empty(count, planes, size, size, device=images.device)
    settings = {"PLANES": planes, "CUBIC": interpolation == "bicubic", "BLOCK": _BLOCK}
    grid = (count * planes, triton.cdiv(height * size, _BLOCK))
    _along_columns[grid](images.contiguous(), across, box, flipped, height, width, size, **settings)
    grid = (count * planes, triton.cdiv(size * size, _BLOCK))
    _along_rows[grid](across, framed, box, height, size, **settings)
    return framed


@triton.jit
def _window(extent, size, sample, CUBIC: tl.constexpr):
    """Where samples look: their centre in pixels of a box, the filter's stretch, the first pixel and how many."""
    scale = extent.to(tl.float32) / size
    stretch = tl.maximum(scale, 1.0)
    reach = stretch * 2.0 if CUBIC else stretch
    centre = scale * (sample + 0.5)
    return centre, stretch, tl.floor(centre - reach - 0.5).to(tl.int32), tl.ceil(2.0 * reach).to(tl.int32) + 3


@triton.jit
def _weight(pixel, centre, stretch, inside, CUBIC: tl.constexpr):
    distance = tl.abs((pixel + 0.5 - centre) / stretch)
    if CUBIC:  # Keys' cubic with a = -0.5
        near = (1.5 * distance - 2.5) * distance * distance + 1.0
        far = ((distance - 5.0) * distance + 8.0) * distance * -0.5 + 2.0
        weight = tl.where(distance < 1.0, near, tl.where(distance < 2.0, far, 0.0))
    else:
        weight = tl.maximum(1.0 - distance, 0.0)
    return tl.where(inside, weight, 0.0)


@triton.jit
def _along_columns(  # noqa: PLR0917
    images, across, box, flip, height, width, size, PLANES: tl.constexpr, CUBIC: tl.constexpr, BLOCK: tl.constexpr
):
    plane = tl.program_id(0)
    sample = plane // PLANES
    top, left = tl.load(box + sample * 4), tl.load(box + sample * 4 + 1)
    tall, extent = tl.load(box + sample * 4 + 2), tl.load(box + sample * 4 + 3)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column = place // size, place % size
    wanted = (row >= top) & (row < top + tall)  # the second pass reads no other rows
    source = tl.where(tl.load(flip + sample) != 0, size - 1 - column, column)
    centre, stretch, first, count = _window(extent, size, source, CUBIC)
    total = tl.zeros([BLOCK], tl.float32)
    weights = tl.zeros([BLOCK], tl.float32)
    for step in range(0, count):
        pixel = first + step
        inside = (pixel >= 0) & (pixel < extent)
        weight = _weight(pixel, centre, stretch, inside, CUBIC)
        level = tl.load(images + (plane * height + row) * width + left + pixel, mask=wanted & inside, other=0)
        total += weight * level.to(tl.float32)
        weights += weight
    tl.store(across + plane * height * size + place, total / (weights * 255.0), mask=wanted)


@triton.jit
def _along_rows(  # noqa: PLR0917
    across, framed, box, height, size, PLANES: tl.constexpr, CUBIC: tl.constexpr, BLOCK: tl.constexpr
):
    plane = tl.program_id(0)
    sample = plane // PLANES
    top, extent = tl.load(box + sample * 4), tl.load(box + sample * 4 + 2)
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row, column = place // size, place % size
    centre, stretch, first, count = _window(extent, size, row, CUBIC)
    total = tl.zeros([BLOCK], tl.float32)
    weights = tl.zeros([BLOCK], tl.float32)
    for step in range(0, count):
        pixel = first + step
        inside = (pixel >= 0) & (pixel < extent)
        weight = _weight(pixel, centre, stretch, inside, CUBIC)
        value = tl.load(across + (plane * height + top + pixel) * size + column, mask=inside & (row < size), other=0.0)
        total += weight * value
        weights += weight
    value = tl.minimum(tl.maximum(total / weights, 0.0), 1.0)
    tl.store(framed + plane * size * size + place, value, mask=row < size)
