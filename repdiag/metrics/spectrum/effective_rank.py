"""`effective_rank`: smooth rank of the covariance."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric
from repdiag.metrics.spectrum.entropy_rank import entropy_rank
from repdiag.metrics.spectrum.singular_values import covariance_eigenvalues


@metric(
    direction="higher",
    bounds=(1.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="roy2007",
    interval="subsample",
)
def effective_rank(features: Features) -> MetricValue:
    """Effective rank: exponential of the entropy of the covariance eigenvalues.

    Formula:      exp(-sum_k p_k log p_k),  p_k = l_k / sum_j l_j,  l = eigenvalues of the covariance
    Shapes:       features [N, D] -> scalar.
    Range:        1 (one direction of variation) to min(N - 1, D).  Better: higher, at equal D and N only.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, centred; eigenvalues (variances); no eps: a zero eigenvalue adds nothing.
    Read it as:   the number of directions that the *variation* fills; rankme also counts the mean.
    Limits:       as rankme. Variances put more weight on large directions than singular values do.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Roy & Vetterli 2007, on eigenvalues. Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(effective_rank(torch.cat([torch.eye(2), -torch.eye(2)]))), 4)
        2.0
    """
    values = covariance_eigenvalues(features)
    if float(values.sum()) == 0.0:
        return undefined("all rows are equal: there is no variance", n=len(features))
    return MetricValue(value=entropy_rank(values), n=len(features), extra={"dims": features.shape[1]})
