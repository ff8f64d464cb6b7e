"""Gaussian blur of a batch, one standard deviation a sample."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_REACH = 3.0  # standard deviations; what lies beyond changes no pixel by as much as one level of 255


def gaussian_blur(images: Tensor, sigma: Tensor, *, largest: float) -> Tensor:
    """Blur each sample of [B, C, H, W] with its own standard deviation in pixels, mirroring at the borders.

    `largest` is at least every `sigma`; a GPU that is asked for its maximum makes the program wait. The sum is written
    out tap by tap: a Gaussian is separable and symmetric, so a radius of r costs 2 r sums of two shifted images, less
    than a general convolution with one kernel a sample.
    """
    reach = torch.ceil(_REACH * sigma)
    radius = min(math.ceil(_REACH * largest), min(images.shape[-2:]) - 1)
    steps = torch.arange(radius + 1, device=sigma.device)
    taps = torch.exp(-0.5 * (steps / sigma[:, None]) ** 2) * (steps <= reach[:, None])
    taps = (taps / (taps.sum(dim=1, keepdim=True) * 2.0 - 1.0)).to(images)
    padded = F.pad(images, (radius,) * 4, mode="reflect")
    return _along(_along(padded, taps, dim=3), taps, dim=2)


def _along(padded: Tensor, taps: Tensor, *, dim: int) -> Tensor:
    radius = taps.shape[1] - 1
    length = padded.shape[dim] - 2 * radius
    total = padded.narrow(dim, radius, length) * taps[:, 0, None, None, None]
    for step in range(1, radius + 1):
        both = padded.narrow(dim, radius - step, length) + padded.narrow(dim, radius + step, length)
        total.addcmul_(both, taps[:, step, None, None, None])
    return total
