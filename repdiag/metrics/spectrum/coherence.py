"""`coherence`: does a single row own a direction?"""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="tsitsulin2023",
    interval="subsample",
    default=False,
)
def coherence(features: Features) -> MetricValue:
    """Coherence: largest leverage of a row, in units of the mean leverage.

    Formula:      max_i ||u_i||^2 N / r,  X = U S V^T,  r = min(N, D)
    Shapes:       features [N, D] -> scalar.
    Range:        1 (all rows alike) to N / r (a row has a direction of its own).  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  raw rows, uncentred; directions of singular value 0 (below 1e-12 of the largest) are left out, and
                  r is still min(N, D).
    Read it as:   whether outliers carry directions of the space.
    Limits:       a maximum over rows: it grows with N.
    Cost:         O(N D min(N, D)) time, O(N D) memory.
    Reference:    Tsitsulin, Munkhoeva & Perozzi 2023. Code compared: google-research, graph_embedding.
                  Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(coherence(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))), 4)
        1.0
    """
    left, values, _ = torch.linalg.svd(features.double(), full_matrices=False)
    if float(values[0]) == 0.0:
        return undefined("all rows are zero", n=len(features))
    leverage = left[:, values > 1e-12 * values[0]].square().sum(dim=1)
    return MetricValue(value=float(leverage.max()) * len(features) / len(values), n=len(features))
