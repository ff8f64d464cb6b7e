"""`nc2`: distance of the class means from a simplex equiangular tight frame."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.classes.class_means import Center, centred_means
from repdiag.metrics.registry import metric


@metric(
    direction="lower",
    bounds=(0.0, 2.0),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="papyan2020",
    interval="u_statistic",
)
def nc2(features: Features, labels: Labels, *, center: Center = "classes", normalize: bool = False) -> MetricValue:
    """NC2: how far the centred class means are from equal lengths and equal angles.

    Formula:      || M M^T / ||M M^T||_F - (I - 1 1^T / C) / sqrt(C - 1) ||_F,  M = class means - mu_G  [C, D]
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 (simplex equiangular tight frame) to 2.  Better: lower.
    Invariant:    rotation, scale, translation, row order (normalize=True: not translation).
    Conventions:  mu_G is the mean of the class means (center="classes") or of all rows (center="rows"); raw rows
                  unless normalize=True; Frobenius norms.
    Read it as:   whether the classes are laid out evenly. With two classes and center="classes" it is 0 by
                  construction.
    Limits:       reaches 0 only if D >= C - 1. Noise in the means of small classes raises it.
    Cost:         O(N D + C^2 D) time, O(C D + C^2) memory.
    Reference:    Papyan, Han & Donoho 2020; matrix form of Zhu et al. 2021. Code compared: rhubarbwu/neural-collapse,
                  measure.py. Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> round(float(nc2(torch.eye(4), torch.arange(4))), 6)
        0.0
    """
    moments = class_moments(features, labels, normalize=normalize)
    classes = len(moments.counts)
    if classes < 2:
        return undefined("needs rows of two classes", n=len(features))
    means = centred_means(moments, center)
    gram = means @ means.T
    size = torch.linalg.matrix_norm(gram)
    if float(size) <= 1e-24 * float(moments.means.square().sum()):
        return undefined("all classes have the same mean", n=len(features))
    ideal = torch.eye(classes, dtype=gram.dtype, device=gram.device) - 1.0 / classes
    error = torch.linalg.matrix_norm(gram / size - ideal / (classes - 1) ** 0.5)
    return MetricValue(value=float(error), n=len(features))
