"""`participation_ratio`: how many directions share the variance."""

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
    reference="gao2017",
    interval="subsample",
)
def participation_ratio(features: Features) -> MetricValue:
    """Participation ratio: squared sum of the covariance eigenvalues over the sum of their squares.

    Formula:      (sum_k l_k)^2 / sum_k l_k^2,  l = eigenvalues of the covariance
    Shapes:       features [N, D] -> scalar.
    Range:        1 (one direction) to min(N - 1, D) (equal variance in all).  Better: higher, at equal D and N only.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, centred; the ddof of the covariance cancels.
    Read it as:   the number of equally strong directions with the same second moments. A long weak tail moves it less
                  than effective_rank.
    Limits:       dominated by the few largest eigenvalues; grows with N until N is many times D.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Gao et al. 2017. Code compared: scikit-dimension, PCA. Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(participation_ratio(torch.cat([torch.eye(2), -torch.eye(2)]))), 4)
        2.0
    """
    values = covariance_eigenvalues(features)
    if float(values[0]) == 0.0:
        return undefined("all rows are equal: there is no variance", n=len(features))
    return MetricValue(
        value=float(values.sum().square() / values.square().sum()), n=len(features), extra={"dims": features.shape[1]}
    )
