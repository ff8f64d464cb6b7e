"""How families resize position embeddings for other image sizes; their features differ by percents."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def _dino(grid: Tensor, size: tuple[int, int], offset: float = 0.1) -> Tensor:
    """DINO, iBOT, DINOv2: bicubic by scale factor, with an offset against rounding that shifts the samples."""
    scale = ((size[0] + offset) / grid.shape[2], (size[1] + offset) / grid.shape[3])
    return F.interpolate(grid, scale_factor=scale, mode="bicubic")


def _bicubic(grid: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(grid, size=size, mode="bicubic", align_corners=False)


def _antialiased(grid: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(grid, size=size, mode="bicubic", antialias=True, align_corners=False)


def _corners(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """torchvision's interpolate_embeddings: the outermost embeddings keep their place."""
    return F.interpolate(grid, size=size, mode="bicubic", align_corners=True)


def _scaled(grid: Tensor, size: tuple[int, int]) -> Tensor:
    """VISSL's early transformer: bicubic by one scale factor for both sides."""
    return F.interpolate(grid, scale_factor=math.sqrt(size[0] * size[1] / grid[0, 0].numel()), mode="bicubic")


RESAMPLERS: Mapping[str, Callable[[Tensor, tuple[int, int]], Tensor]] = {
    "dino": _dino,
    "scaled": _scaled,
    "bicubic": _bicubic,
    "antialiased": _antialiased,
    "corners": _corners,
}


def add_resampling(transformer: Any, resample: str) -> Any:
    """Make a timm vision transformer accept any image size and resize its position embeddings as the family does.

    Position embeddings cover the class token (if any) and the patches; register tokens come after them, without one.
    """
    resampler = RESAMPLERS[resample]
    side = math.isqrt(transformer.pos_embed.shape[1] - (transformer.cls_token is not None))

    def embed(x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        prefix = 0 if transformer.cls_token is None else 1
        position = transformer.pos_embed
        patches = position[:, prefix:]
        if (height, width) != (side, side):
            grid = patches.reshape(1, side, side, channels).permute(0, 3, 1, 2)
            patches = resampler(grid, (height, width)).permute(0, 2, 3, 1).reshape(1, -1, channels)
        tokens = [x.reshape(batch, -1, channels) + patches]
        if transformer.reg_token is not None:
            tokens.insert(0, transformer.reg_token.expand(batch, -1, -1))
        if prefix:
            tokens.insert(0, (transformer.cls_token + position[:, :1]).expand(batch, -1, -1))
        return torch.cat(tokens, dim=1)

    transformer.dynamic_img_size = True
    transformer._pos_embed = embed
    return transformer
