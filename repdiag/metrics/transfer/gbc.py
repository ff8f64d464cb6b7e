"""`gbc`: how much do the classes overlap, each taken for a Gaussian?"""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import column_means, in_one_point, second_moment
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count

_LEAST_VARIANCE = 1e-4  # of the mean variance of the kept components: no class is a point


@metric(
    direction="higher",
    bounds=(float("-inf"), 0.0),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="pandy2022",
    interval="u_statistic",
    default=False,
)
def gbc(features: Features, labels: Labels, *, dims: Count = 64) -> MetricValue:
    """GBC: minus the sum over pairs of classes of the Bhattacharyya coefficient of their Gaussians.

    Formula:      - sum_{i != j} exp(-d(i, j)),  d(i, j) = sum_k (m_ik - m_jk)^2 / (8 v_k) + 1/2 log(v_k / sqrt(v_ik
                  v_jk)),  v_k = (v_ik + v_jk) / 2;  m_c, v_c mean and variance of class c along component k
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C]: the class's part of the sum times C.
    Range:        -C (C - 1) (all classes alike) to 0 (no two overlap).  Better: higher.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, centred and projected on their `dims` largest principal components (on all, if there are
                  fewer). Diagonal covariances, ddof 0, plus 1e-4 of the mean variance of the components, so that no
                  class is a point. Every pair counts twice, as in the paper. Classes of one row are left out and
                  counted in extra.
    Read it as:   -0.5 means that one pair of classes shares a quarter of its mass (each pair counts twice) and the
                  others are apart. Compare on the same classes only.
    Limits:       near 0 for all good encoders. Heavy tails and classes of several islands are not Gaussian. Grows with
                  the number of components.
    Cost:         O(N D^2 + D^3 + C^2 dims) time, O(D^2 + N dims) memory; the interval evaluates it without each of
                  thirty blocks. For that reason not among the defaults: see logme.
    Reference:    Pandy et al. 2022, eq. 3 to 5 (diagonal variant). Golden: tests/golden/test_golden_transfer.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
        >>> float(gbc(rows, torch.tensor([0, 0, 1, 1])))
        -2.0
    """
    present, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    kept = counts > 1
    extra = {"singleton_classes": int((~kept).sum())}
    if int(kept.sum()) < 2:
        return undefined("needs two classes with two rows each", n=len(features))
    if in_one_point(features):
        return undefined("all rows are the same", n=len(features))
    components = _components(features, dims)
    means, variances = _moments(components, index, counts)
    least = _LEAST_VARIANCE * components.var(dim=0, correction=0).mean()
    overlap = _overlap(means[kept], variances[kept] + least)
    per_class = torch.full((len(present),), float("nan"), dtype=torch.float64, device=overlap.device)
    per_class[kept] = -overlap.sum(dim=1) * len(overlap)
    return MetricValue(value=-float(overlap.sum()), n=len(features), per_class=per_class, extra=extra)


def _components(features: Tensor, dims: int) -> Tensor:
    """Return the rows along their largest principal components [N, dims], in float64."""
    _, directions = torch.linalg.eigh(second_moment(features, centred=True))
    components: Tensor = (features.double() - column_means(features)) @ directions[:, -dims:]
    return components


def _moments(components: Tensor, index: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    empty = components.new_zeros(len(counts), components.shape[1])
    means = empty.index_add(0, index, components) / counts[:, None]
    variances = empty.index_add(0, index, (components - means[index]).square()) / counts[:, None]
    return means, variances


def _overlap(means: Tensor, variances: Tensor) -> Tensor:
    """Return the Bhattacharyya coefficient of every pair of classes [C, C], 0 on the diagonal."""
    logs = variances.log().sum(dim=1)
    rows = []
    for own in range(len(means)):
        middle = (variances[own] + variances) / 2.0
        apart = ((means[own] - means).square() / middle).sum(dim=1) / 8.0
        rows.append(torch.exp(-apart - middle.log().sum(dim=1) / 2.0 + (logs[own] + logs) / 4.0))
    overlap: Tensor = torch.stack(rows).fill_diagonal_(0.0)
    return overlap
