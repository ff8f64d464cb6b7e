"""Linear HSIC from features: products D x E instead of Gram matrices N x N."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.metrics.moments import column_means, cross_moment, float64_blocks, second_moment
from repdiag.metrics.pairwise.sharing import memoised, tensor_key


def squared_norms(features: Tensor) -> Tensor:
    """Return the squared norm of every row minus the mean row [N]."""
    mean = column_means(features)
    parts = [(rows - mean).square().sum(dim=1) for _, rows in float64_blocks(features)]
    return torch.cat(parts)


def linear_hsic(features: Tensor, other: Tensor | None = None, *, debiased: bool) -> float:
    """Return the linear HSIC of two encoders, of one with itself if `other` is None, up to a factor common to all.

    Biased: ||Xc^T Yc||_F^2. Debiased (Song et al. 2012, eq. 5, on centred rows): the diagonals of both Gram matrices
    are taken out, and with them the part that grows with the number of features.
    """
    moment = _own_moment(features) if other is None else cross_moment(features, other)
    product = float(moment.square().sum())
    if not debiased:
        return product
    rows = len(features)
    first = squared_norms(features)
    second = first if other is None else squared_norms(other)
    return (
        product
        - rows / (rows - 2.0) * float(first @ second)
        + float(first.sum() * second.sum()) / ((rows - 1.0) * (rows - 2.0))
    )


def _own_moment(features: Tensor) -> Tensor:
    key = ("centred_second_moment", tensor_key(features))
    return memoised(key, lambda: second_moment(features, centred=True), keep=features)
