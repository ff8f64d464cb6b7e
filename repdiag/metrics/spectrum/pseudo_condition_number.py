"""`pseudo_condition_number`: smallest over largest singular value."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric
from repdiag.metrics.spectrum.singular_values import singular_values


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="tsitsulin2023",
    interval="subsample",
    default=False,
)
def pseudo_condition_number(features: Features) -> MetricValue:
    """Pseudo-condition number: smallest over largest singular value.

    Formula:      s_min(N, D) / s_1
    Shapes:       features [N, D] -> scalar.
    Range:        0 (rank deficient) to 1 (all equal).  Better: higher, at equal D and N only.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  raw rows, uncentred, no eps; the inverse of the usual condition number.
    Read it as:   near 0: at least one direction is not used.
    Limits:       a single dead direction makes it 0.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Tsitsulin, Munkhoeva & Perozzi 2023. Code compared: google-research, graph_embedding. Golden:
                  tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(pseudo_condition_number(torch.eye(4))), 4)
        1.0
    """
    values = singular_values(features)
    if float(values[0]) == 0.0:
        return undefined("all rows are zero", n=len(features))
    return MetricValue(value=float(values[-1] / values[0]), n=len(features), extra={"dims": features.shape[1]})
