"""`procrustes_distance`: what is left after the best rotation of one encoder onto the other."""

from __future__ import annotations

from typing import Literal

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.algebra.moments import cross_moment
from repdiag.metrics.registry import metric
from repdiag.metrics.similarity.hsic import squared_norms
from repdiag.metrics.similarity.same_rows import CONSTANT, check_same_rows, is_constant

Form = Literal["distance", "squared", "angular", "disparity", "size_and_shape"]


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="schonemann1966",
    interval="subsample",
    second="other",
)
def procrustes_distance(
    features: Features, *, other_features: Float[Tensor, "M E"], form: Form = "distance"
) -> MetricValue:
    """Procrustes distance: Frobenius distance of two centred, normalised encoders after the best rotation.

    Formula:      min_R ||A R - B||_F = sqrt(2 - 2 s),  s = ||A^T B||_* (sum of singular values),  A = Xc / ||Xc||_F
    Shapes:       features [N, D], other_features [N, E] -> scalar.
    Range:        0 (equal up to rotation and scale) to sqrt(2) (unrelated).  Better: lower.
    Invariant:    rotation, scale, translation, row order (form="size_and_shape": not scale).
    Conventions:  the narrower encoder counts as padded with zero columns, without being padded. Other forms: "squared"
                  2 - 2 s; "angular" arccos s; "disparity" 1 - s^2 (scipy.spatial.procrustes, which also rescales the
                  second matrix); "size_and_shape" sqrt(||Xc||^2 + ||Yc||^2 - 2 ||Xc^T Yc||_*), not normalised, in the
                  units of the features.
    Read it as:   like linear_cka, but a metric in the mathematical sense, and with more weight on small directions.
    Limits:       grows with the dimension on few rows; unrelated encoders look closer when D is near N.
    Cost:         O(N D E + min(D, E)^3) time, O(D E) memory.
    Reference:    Schonemann 1966; Ding, Denain & Steinhardt 2021. Code compared: scipy, mklabunde/resi.
                  Golden: tests/golden/test_golden_similarity.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> round(float(procrustes_distance(rows, other_features=3.0 * rows.flip(1))), 6)
        0.0
    """
    check_same_rows(features, other_features)
    if len(features) < 3:
        return undefined("needs three rows: two can always be rotated onto each other", n=len(features))
    if is_constant(features, other_features):
        return undefined(CONSTANT, n=len(features))
    first, second = float(squared_norms(features).sum()), float(squared_norms(other_features).sum())
    nuclear = float(torch.linalg.svdvals(cross_moment(features, other_features)).sum())
    if form == "size_and_shape":
        return MetricValue(value=max(0.0, first + second - 2.0 * nuclear) ** 0.5, n=len(features))
    similarity = min(1.0, nuclear / (first**0.5 * second**0.5))
    squared = 2.0 - 2.0 * similarity
    values = {
        "distance": squared**0.5,
        "squared": squared,
        "angular": float(torch.arccos(torch.tensor(similarity, dtype=torch.float64))),
        "disparity": 1.0 - similarity**2,
    }
    return MetricValue(value=values[form], n=len(features), extra={"similarity": similarity})
