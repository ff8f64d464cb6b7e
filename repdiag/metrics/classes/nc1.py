"""`nc1`: variability collapse."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import ClassMoments, class_moments, float64_blocks, unit_blocks
from repdiag.metrics.classes.class_means import Center, centred_means
from repdiag.metrics.registry import metric


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=2,
    reference="papyan2020",
    interval="u_statistic",
)
def nc1(
    features: Features,
    labels: Labels,
    *,
    method: Literal["pinv", "quotient"] = "pinv",
    center: Center = "classes",
    normalize: bool = False,
) -> MetricValue:
    """NC1: within-class scatter measured against the between-class scatter.

    Formula:      tr(S_W S_B^+) / C  (method="pinv")  or  tr S_W / tr S_B  (method="quotient"),
                  S_W = 1/N sum_i (x_i - mu_c)(x_i - mu_c)^T,  S_B = 1/C sum_c (mu_c - mu_G)(mu_c - mu_G)^T
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 (every class one point) upwards without bound.  Better: lower.
    Invariant:    rotation, scale, translation, row order (normalize=True: not translation).
    Conventions:  S_W is weighted by rows, S_B by classes. mu_G is the mean of the class means (center="classes") or of
                  all rows (center="rows"); the two are equal for classes of equal size. pinv drops eigenvalues of S_B
                  below D * 2.2e-16 times the largest. Raw rows unless normalize=True. The truncated-SVD form of some
                  implementations equals the pinv form in exact arithmetic. Rows far from the origin keep their digits
                  in the quotient too (since version 2).
    Read it as:   the first sign of neural collapse: it falls towards 0 late in supervised training.
    Limits:       S_B has rank C - 1 at most, so pinv does not see scatter outside the span of the class means.
    Cost:         O(N D C) time, O(C D) memory; no D x D matrix.
    Reference:    Papyan, Han & Donoho 2020, eq. 3. Code compared: rhubarbwu/neural-collapse, measure.py.
                  Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0], [-1.0], [9.0], [11.0]])
        >>> round(float(nc1(rows, torch.tensor([0, 0, 1, 1]))), 6)
        0.02
    """
    moments = class_moments(features, labels, normalize=normalize)
    if len(moments.counts) < 2:
        return undefined("needs rows of two classes", n=len(features))
    if bool((moments.counts < 2).all()):
        return undefined("no class has two rows", n=len(features))
    means = centred_means(moments, center)
    within = float((moments.variances * moments.counts).sum() / moments.counts.sum())
    between = float(means.square().sum() / len(means))
    if between <= 1e-24 * (within + float(moments.means.square().sum())):
        return undefined("all classes have the same mean", n=len(features))
    if method == "quotient":
        return MetricValue(value=within / between, n=len(features))
    value = _whitened_scatter(features, labels, moments=moments, means=means, normalize=normalize)
    return MetricValue(value=value / len(means), n=len(features))


def _whitened_scatter(
    features: Tensor, labels: Tensor, *, moments: ClassMoments, means: Tensor, normalize: bool
) -> float:
    """Return tr(S_W S_B^+): the scatter of the rows along the singular vectors v_k of the means, over s_k^2/C."""
    _, singular, directions = torch.linalg.svd(means, full_matrices=False)
    eigenvalues = singular.square() / len(means)
    kept = eigenvalues > means.shape[1] * torch.finfo(torch.float64).eps * eigenvalues[0]
    whitening = directions[kept].T / eigenvalues[kept].sqrt()
    centres = moments.means @ whitening
    index = torch.searchsorted(moments.labels, labels)
    total = 0.0
    for place, rows in (unit_blocks if normalize else float64_blocks)(features):
        away = rows if moments.origin is None else rows - moments.origin
        total += float((away @ whitening - centres[index[place]]).square().sum())
    return total / len(features)
