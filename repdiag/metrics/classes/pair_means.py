"""Means of squared distances over pairs of rows, in closed form from class sums: no pair is ever formed.

For rows with class mean m_c and mean squared norm q_c,

    mean_{i<j in c} ||x_i - x_j||^2        = 2 n_c/(n_c - 1) (q_c - ||m_c||^2)
    mean_{i in a, j in b} ||x_i - x_j||^2  = q_a + q_b - 2 m_a . m_b

so that a mean over all pairs costs one pass over the rows. It holds for squared distances only.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.metrics.algebra.moments import ClassMoments

Average = Literal["classes", "pairs"]


def within_classes(moments: ClassMoments) -> Tensor:
    """Return the mean squared distance over the pairs of each class [C]; every class needs two rows."""
    return 2.0 * moments.variances * moments.counts / (moments.counts - 1.0)


def within_each_class(moments: ClassMoments) -> Tensor:
    """Return `within_classes` of all classes [C], NaN for a class of one row, which has no pair."""
    repeated = moments.counts >= 2
    values = torch.full_like(moments.counts, float("nan"))
    values[repeated] = within_classes(moments.keep(repeated))
    return values


def mean_within(moments: ClassMoments, average: Average) -> float:
    """Return the mean over classes ("classes") or over all same-class pairs ("pairs")."""
    values = within_classes(moments)
    if average == "classes":
        return float(values.mean())
    pairs = moments.counts * (moments.counts - 1.0)
    return float((values * pairs).sum() / pairs.sum())


def between_classes(moments: ClassMoments) -> Tensor:
    """Return the mean squared distance over the pairs of rows of two classes [C, C]; the diagonal has no meaning."""
    squares, means = moments.squares / moments.counts, moments.means
    return (squares[:, None] + squares[None, :] - 2.0 * means @ means.T).clamp_min(0.0)


def mean_between(moments: ClassMoments, average: Average) -> float:
    """Return the mean over pairs of classes ("classes") or over all pairs of rows of unlike class ("pairs").

    Sums over pairs of classes follow from sums over classes: sum_{a != b} m_a . m_b = ||sum m||^2 - sum ||m||^2.
    """
    classes = len(moments.counts)
    if average == "classes":
        means = moments.means
        products = means.sum(dim=0).square().sum() - means.square().sum()
        mean = 2.0 * (moments.squares / moments.counts).mean() - 2.0 * products / (classes * (classes - 1.0))
        return max(0.0, float(mean))
    total, sums = moments.counts.sum(), moments.sums
    others = total - moments.counts
    products = sums.sum(dim=0).square().sum() - sums.square().sum()
    pairs = (moments.counts * others).sum()
    return max(0.0, float((2.0 * (moments.squares * others).sum() - 2.0 * products) / pairs))


def squared_mean_distances(moments: ClassMoments) -> Tensor:
    """Return the squared distances between class means [C, C], accurate also for means far from the origin."""
    means = moments.means
    centred = means - means.mean(dim=0)
    norms = centred.square().sum(dim=1)
    distances = (norms[:, None] + norms[None, :] - 2.0 * centred @ centred.T).clamp_min(0.0)
    return distances * (1.0 - torch.eye(len(means), dtype=distances.dtype, device=distances.device))
