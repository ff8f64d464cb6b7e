"""`linear_cka`: centred kernel alignment of two encoders."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import NotNegative
from repdiag.metrics.similarity.hsic import linear_hsic
from repdiag.metrics.similarity.same_rows import CONSTANT, check_same_rows, is_constant


@metric(
    direction="higher",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="kornblith2019",
    interval="subsample",
    second="other",
)
def linear_cka(
    features: Features, *, other_features: Float[Tensor, "M E"], debiased: bool = True, eps: NotNegative = 0.0
) -> MetricValue:
    """Linear CKA: similarity of two encoders' pairwise inner products on the same rows.

    Formula:      HSIC(X, Y) / (sqrt(HSIC(X, X) HSIC(Y, Y)) + eps),  biased HSIC = ||Xc^T Yc||_F^2
    Shapes:       features [N, D], other_features [N, E] -> scalar.
    Range:        about 0 (unrelated; the debiased form can be slightly negative) to 1 (equal up to rotation and
                  scale). Better: higher.
    Invariant:    rotation, scale, translation, row order, the same for all rows of either encoder.
    Conventions:  raw rows, centred. debiased=True uses the unbiased HSIC of Song et al.; without it, wide encoders look
                  alike on few rows. eps=1e-6 is what platonic-rep adds: that code divides HSIC by N (N - 3), and eps is
                  taken on that scale; it moves the fourth digit on unit rows. From 4,096 rows on, float32 rows are
                  multiplied in float32, a thousand at a time, and summed in float64 (within about 1e-7 of float64).
    Read it as:   whether two encoders share their directions of large variance.
    Limits:       dominated by the largest directions; a few outlying rows can determine it. Always report whether it is
                  debiased.
    Cost:         O(N (D^2 + E^2 + D E)) time, O((D + E)^2) memory; no N x N matrix.
    Reference:    Kornblith et al. 2019, eq. 3; Song et al. 2012. Code compared: google-research,
                  representation_similarity; minyoungg/platonic-rep. Golden: tests/golden/test_golden_similarity.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.0, -2.0], [3.0, 1.0]])
        >>> round(float(linear_cka(rows, other_features=5.0 * rows.flip(1) - 2.0)), 6)
        1.0
    """
    check_same_rows(features, other_features)
    rows = len(features)
    if rows < (4 if debiased else 2):
        return undefined("needs four rows (two if biased)", n=rows)
    if is_constant(features, other_features):
        return undefined(CONSTANT, n=rows)
    hsic = linear_hsic(features, other_features, debiased=debiased)
    if hsic.own <= 0.0 or hsic.other <= 0.0:
        return undefined("an encoder gives only noise", n=rows)
    scale = rows * (rows - 3.0) if debiased else 1.0
    value = hsic.both / (hsic.own**0.5 * hsic.other**0.5 + eps * scale)
    return MetricValue(value=min(1.0, max(-1.0, value)), n=rows)
