"""Gaussian blur on a GPU: `blur.gaussian_blur` of some samples of a batch, in place, in two passes."""
# mypy: disable-error-code="untyped-decorator,no-untyped-def"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 1024


def gaussian_blur(images: Tensor, rows: Tensor, sigma: Tensor) -> None:
    """Blur the samples `rows` [n] int32 of float32 [B, 3, H, W] with standard deviations `sigma` [n], in place."""
    _, planes, height, width = images.shape
    across = torch.empty(len(rows), planes, height, width, device=images.device)
    grid = (len(rows) * planes, triton.cdiv(height * width, _BLOCK))
    for source, target, along_rows in ((images, across, False), (across, images, True)):
        _pass[grid](source, target, rows, sigma, height, width, PLANES=planes, ALONG_ROWS=along_rows, BLOCK=_BLOCK)


@triton.jit
def _pass(  # noqa: PLR0917
    source,
    target,
    rows,
    sigma,
    height,
    width,
    PLANES: tl.constexpr,
    ALONG_ROWS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    plane = tl.program_id(0)
    chosen, channel = plane // PLANES, plane % PLANES
    whole = tl.load(rows + chosen) * PLANES + channel  # the plane among all images
    deviation = tl.load(sigma + chosen)
    read = (plane if ALONG_ROWS else whole) * height * width
    write = (whole if ALONG_ROWS else plane) * height * width
    place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = place < height * width
    row, column = place // width, place % width
    total = tl.load(source + read + place, mask=inside, other=0.0)
    weights = 1.0
    last = (height if ALONG_ROWS else width) - 1
    radius = tl.minimum(tl.ceil(3.0 * deviation).to(tl.int32), tl.minimum(height, width) - 1)
    for step in range(1, radius + 1):
        ratio = step / deviation
        weight = tl.exp(-0.5 * ratio * ratio)
        if ALONG_ROWS:
            before, after = tl.abs(row - step), last - tl.abs(last - row - step)
            both = tl.load(source + read + before * width + column, mask=inside, other=0.0)
            both += tl.load(source + read + after * width + column, mask=inside, other=0.0)
        else:
            before, after = tl.abs(column - step), last - tl.abs(last - column - step)
            both = tl.load(source + read + row * width + before, mask=inside, other=0.0)
            both += tl.load(source + read + row * width + after, mask=inside, other=0.0)
        total += weight * both
        weights += 2.0 * weight
    tl.store(target + write + place, tl.minimum(total / weights, 1.0), mask=inside)
