"""`h_score`: how much of the features' spread lies between the classes, in units of the spread in that direction."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments, column_means, float64_blocks, in_one_point, second_moment
from repdiag.metrics.registry import metric

_NEGLIGIBLE = 1e-12  # of the largest variance: below it a direction is rounding


@metric(
    direction="higher",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="bao2019",
    interval="subsample",
    default=False,
)
def h_score(features: Features, labels: Labels, *, shrink: bool = True) -> MetricValue:
    """H-score: trace of the covariance of the class means times the inverse covariance of the rows.

    Formula:      (1 - s) tr(S_s^-1 B),  S = cov(x),  B = cov(E[x | y]),  S_s = (1 - s) S + s tr(S) / D I,
                  s = Ledoit-Wolf's shrinkage; s = 0 and the pseudo-inverse where shrink=False
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 (equal class means) to min(C - 1, D) (rows of a class are one point).  Better: higher.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, centred; both covariances with ddof 0; classes are weighted by their rows. The factor 1 - s
                  is that of Ibrahim et al. 2021: what is shrunk away does not count. Unshrunk, variances below 1e-12 of
                  the largest count as zero. extra["shrinkage"] holds s.
    Read it as:   the sum of the C - 1 squared canonical correlations of features and classes: how linearly readable the
                  classes are. Unshrunk, it grows with D / N alone and reaches C - 1 on noise once D >= N - 1.
    Limits:       compares encoders of different width only as far as shrinkage corrects for the width.
    Cost:         O(N D^2 + D^3) time, O(D^2) memory; the interval evaluates it on twenty halves. For that reason not
                  among the defaults: see logme.
    Reference:    Bao et al. 2019, definition 2; Ibrahim, Ponomareva & Mazumder 2021, eq. 5; Ledoit & Wolf 2004, lemma
                  3.2 to 3.4. Code compared: thuml/Transfer-Learning-Library, tllib/ranking/hscore.py, which takes
                  ddof 1 for B alone. Golden: tests/golden/test_golden_transfer.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]])
        >>> float(h_score(rows, torch.tensor([0, 0, 1, 1]), shrink=False))
        0.8
    """
    moments = class_moments(features, labels, normalize=False)
    if len(moments.counts) < 2:
        return undefined("needs rows of two classes", n=len(features))
    if in_one_point(features):
        return undefined("all rows are the same", n=len(features))
    rows = len(features)
    centre = column_means(features)
    covariance = second_moment(features, centred=True) / rows
    shrinkage = _shrinkage(features, centre, covariance) if shrink else 0.0
    means = moments.means - moments.counts @ moments.means / rows
    variances, directions = torch.linalg.eigh(covariance)
    shrunk = (1.0 - shrinkage) * variances + shrinkage * variances.mean()
    kept = shrunk > _NEGLIGIBLE * shrunk.max()
    between = (moments.counts[:, None] * (means @ directions).square()).sum(dim=0) / rows
    value = (1.0 - shrinkage) * float((between[kept] / shrunk[kept]).sum())
    return MetricValue(value=value, n=rows, extra={"shrinkage": shrinkage})


def _shrinkage(features: Tensor, centre: Tensor, covariance: Tensor) -> float:
    """Return Ledoit and Wolf's s = b^2 / d^2: the error of S over its distance from a multiple of the identity."""
    rows, dims = features.shape
    fourth = sum(float((block - centre).square().sum(dim=1).square().sum()) for _, block in float64_blocks(features))
    squares = float(covariance.square().sum())
    distance = squares - float(covariance.trace()) ** 2 / dims
    error = max(0.0, fourth / rows - squares) / rows
    return min(1.0, error / distance) if distance > _NEGLIGIBLE * squares else 1.0 if dims > 1 else 0.0
