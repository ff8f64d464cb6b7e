"""Random views of small images: a crop, a flip, a change of brightness and contrast."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def normalised(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return uint8 images as the network takes them."""
    unit = pixels.float() / 255.0
    return (unit - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)


def random_view(pixels: Tensor, generator: Generator, *, flip: bool) -> Tensor:
    """Return a view of each image: uint8 to uint8 [B, 3, S, S]; digits are not flipped."""
    count = len(pixels)
    draw = torch.rand(count, 6, generator=generator)
    scale = (0.4 + 0.6 * draw[:, 0]).sqrt()
    shift = (1.0 - scale)[:, None] * (2.0 * draw[:, 1:3] - 1.0)
    sign = torch.where(draw[:, 3] < 0.5, -1.0, 1.0) if flip else torch.ones(count)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0], affine[:, 1, 1] = scale * sign, scale
    affine[:, :, 2] = shift
    grid = F.affine_grid(affine, list(pixels.shape), align_corners=False)
    unit = F.grid_sample(pixels.float(), grid, align_corners=False, padding_mode="reflection")
    contrast, brightness = 0.6 + 0.8 * draw[:, 4], 80.0 * (draw[:, 5] - 0.5)
    mean = unit.mean((1, 2, 3), keepdim=True)
    changed = (unit - mean) * contrast.view(-1, 1, 1, 1) + mean + brightness.view(-1, 1, 1, 1)
    return changed.clamp(0, 255).to(torch.uint8)


def light_view(pixels: Tensor, generator: Generator, *, flip: bool) -> Tensor:
    """Return the image moved by up to two pixels and flipped: what a classifier is trained with."""
    padded = F.pad(pixels.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8)
    size = pixels.shape[-1]
    right, down = torch.randint(5, (2,), generator=generator).tolist()
    moved = padded[:, :, down : down + size, right : right + size]
    if not flip:
        return moved
    return torch.where(torch.rand(len(pixels), 1, 1, 1, generator=generator) < 0.5, moved.flip(3), moved)
