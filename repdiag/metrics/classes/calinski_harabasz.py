"""`calinski_harabasz`: between-class over within-class variance, per degree of freedom."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.registry import metric


@metric(
    direction="higher",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="calinski1974",
    interval="u_statistic",
    default=False,
)
def calinski_harabasz(features: Features, labels: Labels) -> MetricValue:
    """Calinski-Harabasz index: the variance ratio of an analysis of variance over all dimensions.

    Formula:      [sum_c n_c ||m_c - m||^2 / (C - 1)] / [sum_c sum_{i in c} ||z_i - m_c||^2 / (N - C)]
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        about 1 (labels unrelated to the rows) upwards without bound.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  unit rows z = features / ||features||; m is the mean of all rows.
    Read it as:   a test statistic rather than an effect size: it grows with N.
    Limits:       comparable only at equal N and C.
    Cost:         O(N D) time, O(C D) memory.
    Reference:    Calinski & Harabasz 1974. Code compared: scikit-learn, calinski_harabasz_score.
                  Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
        >>> round(float(calinski_harabasz(rows, torch.tensor([0, 0, 1, 1]))), 6)
        2.0
    """
    moments = class_moments(features, labels, normalize=True)
    classes, rows = len(moments.counts), len(features)
    if classes < 2:
        return undefined("needs rows of two classes", n=rows)
    within = float((moments.variances * moments.counts).sum())
    if rows == classes or within <= 1e-12 * rows:
        return undefined("there is no spread inside the classes", n=rows)
    centred = moments.means - moments.sums.sum(dim=0) / rows
    between = float((moments.counts * centred.square().sum(dim=1)).sum())
    return MetricValue(value=(between / (classes - 1)) / (within / (rows - classes)), n=rows)
