"""Colour jitter, grayscale and solarization on floating images [B, 3, H, W] in [0, 1]; one factor a sample.

All but solarization change the images in place. Brightness, contrast and saturation stop at 0 and 1, as
torchvision's functions do.
"""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, what Pillow's mode "L" uses
_TINY = 1e-12


def luma(images: Tensor) -> Tensor:
    """Return the brightness of each pixel: [B, 1, H, W]."""
    red, green, blue = images.unbind(dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2]).unsqueeze(1)


def scale_brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with black."""
    return images.mul_(_each(factor)).clamp_(0.0, 1.0)


def scale_contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the image's mean luma; of other than three channels, with the mean of them all."""
    factor = _each(factor)
    level = luma(images) if images.shape[1] == 3 else images.mean(dim=1, keepdim=True)
    offset = level.mean(dim=(2, 3), keepdim=True).mul_(1.0 - factor)
    return images.mul_(factor).add_(offset).clamp_(0.0, 1.0)


def scale_saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grayscale image."""
    factor = _each(factor)
    grey = luma(images).mul_(1.0 - factor)
    return images.mul_(factor).add_(grey).clamp_(0.0, 1.0)


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue by a fraction of the colour circle; value and chroma stay.

    Let u in [-3, 3] be the hue in sixths of the circle, red at 0, green at 2. Where green >= blue, the three cases
    of the textbook formula (red, green or blue the largest) are all u = 1 + (green + blue - red - low) / chroma, and
    where green < blue the sign changes. Back, each channel is a trapezoid of the distance d from its own hue: one
    for d <= 1, zero for d >= 2. No case distinction is left, which is what makes it fast.
    """
    red, green, blue = images.unbind(dim=1)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = torch.maximum(torch.maximum(red, green), blue).sub_(low)
    hue = (green + blue).sub_(red).sub_(low).div_(chroma.clamp_min(_TINY)).add_(1.0)
    hue.copysign_(green - blue).add_((6.0 * turns)[:, None, None])
    hue.sub_(torch.round(hue / 6.0).mul_(6.0))
    distance = torch.empty_like(hue)
    for channel, own_hue in ((red, 0.0), (green, 2.0), (blue, -2.0)):
        # |hue - own| reaches 5; folded at 3 it is the distance along the circle, d = 3 - | |hue - own| - 3 |.
        torch.sub(hue, own_hue, out=distance).abs_().sub_(3.0).abs_().sub_(1.0).clamp_(0.0, 1.0)
        torch.addcmul(low, chroma, distance, out=channel)
    return images


def to_gray(images: Tensor) -> Tensor:
    """Make the images gray, with three equal channels."""
    return images.copy_(luma(images).expand_as(images))


def solarize(images: Tensor, threshold: float) -> Tensor:
    """Return the images with every value from the threshold on inverted."""
    return torch.where(images >= threshold, 1.0 - images, images)


def _each(factor: Tensor) -> Tensor:
    return factor[:, None, None, None]
