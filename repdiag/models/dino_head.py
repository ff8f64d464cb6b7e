"""DINO's projection head: an MLP to a bottleneck on the sphere, then weight-normalised outputs."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from repdiag.core.shapes import Float, Tensor


class DINOHead(nn.Module):
    """Three layers with GELU, a unit-length bottleneck, and a last layer whose rows have unit length.

    With `learn_scales` the rows' lengths start from one and are learnt.
    """

    def __init__(
        self,
        in_dim: int,
        *,
        outputs: int,
        hidden_dim: int,
        bottleneck_dim: int,
        batch_norm: bool,
        learn_scales: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in (in_dim, hidden_dim):
            layers.append(nn.Linear(width, hidden_dim))
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden_dim))
            layers.append(nn.GELU())
        layers.append(nn.Linear(hidden_dim, bottleneck_dim))
        self.mlp = nn.Sequential(*layers)
        self.last_layer = nn.Parameter(torch.empty(outputs, bottleneck_dim))
        self.scales = nn.Parameter(torch.ones(outputs, 1)) if learn_scales else None
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        nn.init.kaiming_uniform_(self.last_layer, a=math.sqrt(5))  # as torch draws a linear layer

    def forward(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B K"]:
        """Return the logits, cosines between bottleneck and outputs times the outputs' scales."""
        bottleneck = F.normalize(self.mlp(features).float(), dim=1)
        rows = F.normalize(self.last_layer, dim=1)
        return F.linear(bottleneck, rows if self.scales is None else rows * self.scales)
