"""Colour jitter and grayscale on a GPU: every operation of a sample in one reading of it, two where it has a contrast.

The operations of `colour`, each sample in its own order. Contrast needs the mean luma of what the operations before it
have made of the image: the first kernel goes so far and adds it up, the second one goes on from there.
"""
# mypy: disable-error-code="untyped-decorator,no-untyped-def"

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

# What a sample's steps may be.
BRIGHTNESS, CONTRAST, SATURATION, HUE, GRAY = 1, 2, 3, 4, 5
STEPS = 5  # of a sample at most; 0 is no operation

_BLOCK = 1024


def recolour(images: Tensor, codes: Tensor, factors: Tensor) -> None:
    """Apply to each sample of float32 [B, 3, H, W] its steps in order, in place: codes [B, 5] int32, factors [B, 5]."""
    count, _, height, width = images.shape
    pixels = height * width
    blocks = triton.cdiv(pixels, _BLOCK)
    luma = torch.empty(count, blocks, device=images.device)
    _until_contrast[(count, blocks)](images, luma, codes, factors, pixels, blocks, BLOCK=_BLOCK)
    _from_contrast[(count, blocks)](
        images, luma, codes, factors, pixels, blocks, BLOCKS=triton.next_power_of_2(blocks), BLOCK=_BLOCK
    )


@triton.jit
def _read(start, pixels, inside):
    red = tl.load(start, mask=inside, other=0.0)
    green = tl.load(start + pixels, mask=inside, other=0.0)
    blue = tl.load(start + 2 * pixels, mask=inside, other=0.0)
    return red, green, blue


@triton.jit
def _write(start, pixels, inside, red, green, blue):  # noqa: PLR0917
    tl.store(start, red, mask=inside)
    tl.store(start + pixels, green, mask=inside)
    tl.store(start + 2 * pixels, blue, mask=inside)


@triton.jit
def _luma(red, green, blue):
    return 0.299 * red + 0.587 * green + 0.114 * blue


@triton.jit
def _unit(value):
    return tl.minimum(tl.maximum(value, 0.0), 1.0)


@triton.jit
def _trapezoid(hue, own):
    distance = tl.abs(tl.abs(hue - own) - 3.0) - 1.0
    return _unit(distance)


@triton.jit
def _step(red, green, blue, code, factor):
    """Every operation but contrast; the comments on hue are in `colour.shift_hue`."""
    if code == 1:
        red, green, blue = _unit(red * factor), _unit(green * factor), _unit(blue * factor)
    elif code == 3:
        grey = _luma(red, green, blue) * (1.0 - factor)
        red, green, blue = _unit(red * factor + grey), _unit(green * factor + grey), _unit(blue * factor + grey)
    elif code == 4:
        low = tl.minimum(tl.minimum(red, green), blue)
        chroma = tl.maximum(tl.maximum(red, green), blue) - low
        hue = (green + blue - red - low) / tl.maximum(chroma, 1e-12) + 1.0
        hue = tl.where(green >= blue, tl.abs(hue), -tl.abs(hue)) + 6.0 * factor
        hue = hue - 6.0 * tl.floor(hue / 6.0 + 0.5)
        red = low + chroma * _trapezoid(hue, 0.0)
        green = low + chroma * _trapezoid(hue, 2.0)
        blue = low + chroma * _trapezoid(hue, -2.0)
    elif code == 5:
        grey = _luma(red, green, blue)
        red, green, blue = grey, grey, grey
    return red, green, blue


@triton.jit
def _until_contrast(images, luma, codes, factors, pixels, blocks, BLOCK: tl.constexpr):  # noqa: PLR0917
    sample, block = tl.program_id(0), tl.program_id(1)
    place = block * BLOCK + tl.arange(0, BLOCK)
    inside = place < pixels
    start = images + sample * 3 * pixels + place
    red, green, blue = _read(start, pixels, inside)
    before = True
    for step in tl.static_range(5):
        code = tl.load(codes + sample * 5 + step)
        before = before & (code != 2)
        if before:
            red, green, blue = _step(red, green, blue, code, tl.load(factors + sample * 5 + step))
    tl.store(luma + sample * blocks + block, tl.sum(tl.where(inside, _luma(red, green, blue), 0.0), axis=0))
    _write(start, pixels, inside, red, green, blue)


@triton.jit
def _from_contrast(  # noqa: PLR0917
    images, luma, codes, factors, pixels, blocks, BLOCKS: tl.constexpr, BLOCK: tl.constexpr
):
    sample = tl.program_id(0)
    has_contrast = False
    for step in tl.static_range(5):
        has_contrast = has_contrast | (tl.load(codes + sample * 5 + step) == 2)
    if has_contrast:
        part = tl.arange(0, BLOCKS)
        mean = tl.sum(tl.load(luma + sample * blocks + part, mask=part < blocks, other=0.0), axis=0) / pixels
        place = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
        inside = place < pixels
        start = images + sample * 3 * pixels + place
        red, green, blue = _read(start, pixels, inside)
        reached = False
        for step in tl.static_range(5):
            code = tl.load(codes + sample * 5 + step)
            factor = tl.load(factors + sample * 5 + step)
            if reached:
                red, green, blue = _step(red, green, blue, code, factor)
            if code == 2:
                offset = mean * (1.0 - factor)
                red, green, blue = (
                    _unit(red * factor + offset),
                    _unit(green * factor + offset),
                    _unit(blue * factor + offset),
                )
            reached = reached | (code == 2)
        _write(start, pixels, inside, red, green, blue)
