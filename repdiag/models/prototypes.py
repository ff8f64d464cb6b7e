"""Prototypes: learnt unit directions that projections are compared with."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from repdiag.core.shapes import Float, Tensor


class Prototypes(nn.Module):
    """K unit vectors in the projection space; unit projections [B, P] -> cosine scores [B, K]."""

    def __init__(self, dim: int, count: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, dim))
        nn.init.trunc_normal_(self.weight, std=0.02)
        self.normalize()

    def forward(self, projections: Float[Tensor, "B P"]) -> Float[Tensor, "B K"]:
        """Return the scores; the rows of `weight` are kept at unit length by `normalize`."""
        return F.linear(projections, self.weight)

    @torch.no_grad()
    def normalize(self) -> None:
        """Put the rows back on the unit sphere; to be called after each optimizer step."""
        self.weight.copy_(F.normalize(self.weight, dim=1))
