"""How families resize position embeddings for other image sizes; their features differ by percents."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The patches that position embeddings stand for, and how many tokens before them have one of their own."""

    rows: int
    columns: int
    before: int


def grid_of(positions: int, *, class_tokens: int, registers: int, told: tuple[int, int] | None = None) -> Grid | None:
    """Return the grid of this many position embeddings, or None where they are not a square (and nothing was told).

    The class token has an embedding of its own in most networks and registers have none (DINOv2); in some neither has
    (timm's `no_embed_class`), in some both (timm's default).
    """
    ways = dict.fromkeys((class_tokens, 0, class_tokens + registers))
    if told is not None:
        fitting = [before for before in ways if told[0] * told[1] + before == positions]
        return Grid(rows=told[0], columns=told[1], before=fitting[0]) if fitting else None
    for before in ways:
        side = math.isqrt(max(positions - before, 0))
        if side and side * side == positions - before:
            return Grid(rows=side, columns=side, before=before)
    return None


def add_resampling(transformer: Any, resample: str, grid: Grid) -> Any:
    """Make a timm vision transformer accept any image size and resize its position embeddings as the family does.

    Tokens stand in the order class token, registers, patches. The first `grid.before` of those before the patches have
    position embeddings, the others none.
    """
    transformer.dynamic_img_size = True
    transformer.resample, transformer.grid = resample, grid
    # A copy keeps its class, where a method put on the module would go on to use the original's tensors.
    transformer.__class__ = type("Resampled", (type(transformer),), {"_pos_embed": _embed})
    return transformer


def _embed(self: Any, x: Tensor) -> Tensor:
    """Return patches [B, H, W, D] as tokens [B, N, D] with their positions, the special ones before them."""
    batch, height, width, channels = x.shape
    grid, position = self.grid, self.pos_embed
    patches = position[:, grid.before :]
    if (height, width) != (grid.rows, grid.columns):
        square = patches.reshape(1, grid.rows, grid.columns, channels).permute(0, 3, 1, 2)
        patches = RESAMPLERS[self.resample](square, (height, width)).permute(0, 2, 3, 1).reshape(1, -1, channels)
    special = [token for token in (self.cls_token, self.reg_token) if token is not None]
    embedded: Tensor = x.reshape(batch, -1, channels) + patches
    if not special:
        return embedded
    before = torch.cat(special, dim=1)
    placed = before[:, : grid.before] + position[:, : grid.before]
    before = torch.cat([placed, before[:, grid.before :]], dim=1).expand(batch, -1, -1)
    return torch.cat([before, embedded], dim=1)
