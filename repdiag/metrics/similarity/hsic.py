"""Linear HSIC from features: products D x E instead of Gram matrices N x N."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.metrics.algebra.moments import column_means, float64_blocks, joint_moments


@dataclass(frozen=True, kw_only=True)
class LinearHsic:
    """The HSIC of two encoders and of each with itself, up to a factor common to all three."""

    both: float
    own: float
    other: float


def squared_norms(features: Tensor) -> Tensor:
    """Return the squared norm of every row minus the mean row [N]."""
    mean = column_means(features)
    parts = [(rows - mean).square().sum(dim=1) for _, rows in float64_blocks(features)]
    return torch.cat(parts)


def linear_hsic(features: Tensor, other: Tensor, *, debiased: bool) -> LinearHsic:
    """Return the linear HSIC of two encoders on the same rows, all three terms from one pass.

    Biased: ||Xc^T Yc||_F^2. Debiased (Song et al. 2012, eq. 5, on centred rows): the diagonals of both Gram matrices
    are taken out, and with them the part that grows with the number of features.
    """
    moments = joint_moments(features, other)
    first, second = moments.squares, moments.other_squares

    def term(moment: Tensor, left: Tensor, right: Tensor) -> float:
        product = float(moment.square().sum())
        if not debiased:
            return product
        rows = len(left)
        total = float(left.sum() * right.sum())
        return product - rows / (rows - 2.0) * float(left @ right) + total / ((rows - 1.0) * (rows - 2.0))

    return LinearHsic(
        both=term(moments.cross, first, second),
        own=term(moments.own, first, first),
        other=term(moments.other, second, second),
    )
