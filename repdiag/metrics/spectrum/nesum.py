"""`nesum`: sum of the covariance eigenvalues over the largest."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric
from repdiag.metrics.spectrum.singular_values import covariance_eigenvalues


@metric(
    direction="higher",
    bounds=(1.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="he2022",
    interval="subsample",
)
def nesum(features: Features) -> MetricValue:
    """NESum: sum of the covariance eigenvalues over the largest.

    Formula:      sum_k l_k / l_1,  l = eigenvalues of the covariance
    Shapes:       features [N, D] -> scalar.
    Range:        1 (one direction) to min(N - 1, D) (whitened).  Better: higher, at equal D and N only.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, centred; the ddof cancels; no eps.
    Read it as:   1 for collapsed features, D for whitened ones.
    Limits:       uses only the largest eigenvalue and the sum.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    He & Ozay 2022, definition 4.1. Code compared: google-research, graph_embedding. Golden:
                  tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(nesum(torch.cat([torch.eye(2), -torch.eye(2)]))), 4)
        2.0
    """
    values = covariance_eigenvalues(features)
    if float(values[0]) == 0.0:
        return undefined("all rows are equal: there is no variance", n=len(features))
    return MetricValue(value=float(values.sum() / values[0]), n=len(features), extra={"dims": features.shape[1]})
