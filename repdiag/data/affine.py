"""Small turns, moves and zooms of a batch, one draw a sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def move(images: Tensor, *, degrees: Tensor, shift: Tensor, zoom: Tensor) -> Tensor:
    """Turn clockwise about the centre, zoom and then move each sample; what comes from outside is black.

    images [B, C, H, W] floating, degrees [B], shift [B, 2] as fractions of (width, height), zoom [B].
    """
    height, width = images.shape[-2:]
    angle = torch.deg2rad(degrees)
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    aspect = height / width
    # grid_sample wants, for each output place, where it comes from: x = R(-angle) (x' - shift) / zoom, with
    # coordinates from -1 to 1 along either axis (hence the aspect ratio, and twice the shift).
    x, y = 2.0 * shift[:, 0], 2.0 * shift[:, 1]
    matrix = torch.stack(
        [
            torch.stack([cosine, sine * aspect, -(cosine * x + sine * aspect * y)], dim=1),
            torch.stack([-sine / aspect, cosine, sine / aspect * x - cosine * y], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(matrix.to(images), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
