"""Antialiased crop, resize and flip: one separable linear map a sample, the same as torchvision's, in batch."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from repdiag.config.views import Interpolation
from repdiag.core.transfer import to_device
from repdiag.data.crops import Boxes

_SUPPORT: dict[Interpolation, float] = {"bilinear": 1.0, "bicubic": 2.0}
_KEYS_A = -0.5  # Keys' cubic as Pillow and torch use it when they antialias


def resize_crops(
    images: Tensor, boxes: Boxes, *, size: int, flip: NDArray[np.bool_], interpolation: Interpolation
) -> Tensor:
    """Cut each sample's box out, resize it to `size` x `size` and mirror it where asked.

    Floating [B, C, H, W] to [B, C, size, size]. Only pixels within the box count, as if it had been cut out first.
    """
    height, width = images.shape[-2:]
    corners, flipped = to_device([boxes.T, flip], images.device)
    box = corners.to(images.dtype)
    rows = _weights(box[0], box[2], length=height, size=size, interpolation=interpolation)
    columns = _weights(box[1], box[3], length=width, size=size, interpolation=interpolation)
    columns = torch.where(flipped[:, None, None], columns.flip(1), columns)
    # The order of the two products is free; the one with the smaller intermediate first is the cheaper.
    across = torch.matmul(images, columns[:, None].mT)
    return torch.matmul(rows[:, None], across)


def resize_one(image: Tensor, box: NDArray[np.int64], *, size: int, interpolation: Interpolation) -> Tensor:
    """Cut one image [C, H, W] and resize it to [C, size, size], of its own type."""
    top, left, height, width = box.tolist()
    return resize_whole(image[:, top : top + height, left : left + width], (size, size), interpolation)


def resize_whole(images: Tensor, shape: tuple[int, int], interpolation: Interpolation) -> Tensor:
    """Resize images [..., C, H, W] to the shape, antialiased."""
    if images.shape[-2:] == shape:
        return images
    resized = F.interpolate(_interleaved(images), shape, mode=interpolation, align_corners=False, antialias=True)
    return resized.reshape(*images.shape[:-2], *shape)


def resize_and_centre(images: Tensor, *, resize: int, size: int, interpolation: Interpolation) -> Tensor:
    """Resize the shorter side of images [..., C, H, W] to `resize` and cut the central `size` x `size` out."""
    height, width = images.shape[-2:]
    shorter = min(height, width)
    # Whole pixels as torchvision counts them: the longer side is cut, the crop's corner rounded.
    resized = (resize * height // shorter, resize * width // shorter)
    top, left = (round((side - size) / 2) for side in resized)
    if resized != (height, width):
        scales = (resized[0] / height, resized[1] / width)
        # What lies below and to the right of all pixels that the crop looks at need not be resized.
        reach = _SUPPORT[interpolation] * max(1.0, 1.0 / min(scales)) + 1.0
        rows, columns = (
            math.ceil((corner + size) / scale + reach) for corner, scale in zip((top, left), scales, strict=True)
        )
        needed = _interleaved(images[..., :rows, :columns])
        done = F.interpolate(
            needed,
            scale_factor=scales,
            mode=interpolation,
            align_corners=False,
            antialias=True,
            recompute_scale_factor=False,
        )
        images = done.reshape(*images.shape[:-2], *done.shape[-2:])
    return images[..., top : top + size, left : left + size]


def _interleaved(images: Tensor) -> Tensor:
    """Return [N, 3, H, W] with a pixel's channels side by side: torch's fast uint8 kernel takes nothing else."""
    return images.reshape(-1, *images.shape[-3:]).contiguous(memory_format=torch.channels_last)


def _weights(start: Tensor, extent: Tensor, *, length: int, size: int, interpolation: Interpolation) -> Tensor:
    """Return the map from `length` pixels to `size` samples of [start, start + extent): [B, size, length]."""
    scale = (extent / size)[:, None, None]
    stretch = scale.clamp_min(1.0)  # the filter widens when shrinking, and never narrows when growing
    centre = scale * (torch.arange(size, device=start.device, dtype=start.dtype)[:, None] + 0.5)
    pixel = torch.arange(length, device=start.device, dtype=start.dtype) - start[:, None, None]
    inside = (pixel >= 0) & (pixel < extent[:, None, None])
    distance = ((pixel + 0.5 - centre) / stretch).abs_()
    weights = _kernel(distance, interpolation).mul_(inside)
    return weights.div_(weights.sum(dim=2, keepdim=True))


def _kernel(x: Tensor, interpolation: Interpolation) -> Tensor:
    if interpolation == "bilinear":
        return (1.0 - x).clamp_min_(0.0)
    near = ((_KEYS_A + 2.0) * x - (_KEYS_A + 3.0)) * x * x + 1.0
    far = ((x - 5.0) * x + 8.0) * x * _KEYS_A - 4.0 * _KEYS_A
    return torch.where(x < 1.0, near, far).mul_(x < _SUPPORT[interpolation])
