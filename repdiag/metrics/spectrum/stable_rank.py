"""`stable_rank`: squared Frobenius norm over squared spectral norm."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric
from repdiag.metrics.spectrum.singular_values import singular_values


@metric(
    direction="higher",
    bounds=(1.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="rudelson2007",
    interval="subsample",
)
def stable_rank(features: Features) -> MetricValue:
    """Stable rank: how many times the largest squared singular value fits into their sum.

    Formula:      ||X||_F^2 / s_1^2 = sum_k s_k^2 / s_1^2
    Shapes:       features [N, D] -> scalar.
    Range:        1 (rank one) to min(N, D).  Better: higher, at equal D and N only.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  raw rows, uncentred, no eps.
    Read it as:   robust to small singular values. Near 1 if the mean dominates.
    Limits:       uses only the largest singular value and the sum.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Rudelson & Vershynin 2007. Code compared: google-research, graph_embedding. Golden:
                  tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(stable_rank(torch.eye(4))), 4)
        4.0
    """
    values = singular_values(features)
    if float(values[0]) == 0.0:
        return undefined("all rows are zero", n=len(features))
    return MetricValue(
        value=float(values.square().sum() / values[0].square()), n=len(features), extra={"dims": features.shape[1]}
    )
