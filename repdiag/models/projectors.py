"""Projectors: the small MLP between the features and the loss."""

from __future__ import annotations

from typing import Literal

from torch import nn

from repdiag.core.errors import unknown_name

ProjectorKind = Literal["linear", "simple", "wide", "deep"]

# Hidden widths as multiples of the feature dimension d: simple is MoCo v2's d-d-out, wide d-2d-out, deep d-d-d-out.
_HIDDEN: dict[str, tuple[int, ...]] = {"linear": (), "simple": (1,), "wide": (2,), "deep": (1, 1)}


def build_projector(
    kind: str,
    in_dim: int,
    *,
    out_dim: int = 128,
    hidden_dim: int | None = None,
    batch_norm: bool = False,
    dropout: float = 0.0,
) -> nn.Sequential:
    """Return the MLP `kind` from `in_dim` features to `out_dim` projections.

    `hidden_dim` replaces every hidden width by a fixed one; `batch_norm` normalises the hidden layers; `dropout` acts
    after each hidden activation.
    """
    if kind not in _HIDDEN:
        raise unknown_name("projector", kind, _HIDDEN)
    layers: list[nn.Module] = []
    width = in_dim
    for multiple in _HIDDEN[kind]:
        hidden = hidden_dim or multiple * in_dim
        layers.append(nn.Linear(width, hidden, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(hidden))
        layers.append(nn.ReLU(inplace=True))
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = hidden
    layers.append(nn.Linear(width, out_dim))
    return nn.Sequential(*layers)
