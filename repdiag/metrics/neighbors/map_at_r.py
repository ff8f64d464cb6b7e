"""`map_at_r`: average precision of a row's R nearest partners."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.neighbors.ranked_lists import list_requests, on_parts
from repdiag.metrics.neighbors.retrieval import retrieve
from repdiag.metrics.registry import metric


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="musgrave2020",
    interval="halves",
    reductions=list_requests,
    on_parts=on_parts(lambda part: float(part.average.mean())),
)
def map_at_r(features: Features, labels: Labels, *, normalize: bool = True) -> MetricValue:
    """MAP@R: the mean over the first R ranks of the precision at each rank that holds a row of the same class.

    Formula:      mean_i (1 / R_i) sum_{r=1..R_i} [y_(r) = y_i] #{s <= r : y_(s) = y_i} / r,  R_i = class size - 1
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 to 1; at most r_precision.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1: leave-one-out, unit rows unless normalize=False, ties to the lower row, lone rows
                  left out and counted in extra; a mean over rows, so larger classes weigh more.
    Read it as:   r_precision that also rewards the right order.
    Limits:       as r_precision.
    Cost:         O(N^2 D / 2) multiply-adds, O(N (D + max R)) memory.
    Reference:    Musgrave et al. 2020, eq. 3; code compared: pytorch-metric-learning, utils/accuracy_calculator.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(map_at_r(rows, torch.tensor([0, 0, 1, 1])))
                  1.0
    """
    found = retrieve(features, labels, normalize=normalize)
    if found is None:
        return undefined("no class has two rows", n=len(features))
    rank = torch.arange(1, found.relevant.shape[1] + 1, dtype=torch.float64, device=features.device)
    precision = found.relevant.cumsum(dim=1) / rank
    parts = (precision * found.relevant).sum(dim=1) / found.wanted
    return MetricValue(
        value=float(parts.mean()),
        n=len(parts),
        per_row=parts,
        rows=found.queries,
        extra={"lone_rows": found.lone},
    )
