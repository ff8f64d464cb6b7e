"""`mean_reciprocal_rank`: how far down the first row of the same class is."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.neighbors.full_ranking import relevant_by_rank
from repdiag.metrics.registry import metric


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="musgrave2020",
    interval="halves",
    blocks_left_out=True,
    default=False,
)
def mean_reciprocal_rank(features: Features, labels: Labels, *, normalize: bool = True) -> MetricValue:
    """Mean reciprocal rank: one over the rank of the nearest partner of the same class.

    Formula:      mean_i 1 / min{rank_i(j) : y_j = y_i, j != i}
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        1 / (N - 1) to 1; at least precision_at_1.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1: leave-one-out, unit rows unless normalize=False, ties to the lower row, lone rows
                  left out and counted in extra; float64 scores.
    Read it as:   precision_at_1 with credit for near misses.
    Limits:       as precision_at_1.
    Cost:         O(N^2 (D + log N)), in panels.
    Reference:    Musgrave et al. 2020; code compared: pytorch-metric-learning, utils/accuracy_calculator.py, k=None.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(mean_reciprocal_rank(rows, torch.tensor([0, 0, 1, 1])))
                  1.0
    """
    parts = [torch.empty(0, dtype=torch.float64, device=features.device)]
    queries = [torch.empty(0, dtype=torch.int64, device=features.device)]
    for part, relevant in relevant_by_rank(features, labels, normalize=normalize):
        queries.append(part)
        parts.append(1.0 / (relevant.int().argmax(dim=1) + 1.0).double())
    each = torch.cat(parts)
    if len(each) == 0:
        return undefined("no class has two rows", n=len(features))
    extra = {"lone_rows": len(labels) - len(each)}
    return MetricValue(value=float(each.mean()), n=len(each), per_row=each, rows=torch.cat(queries), extra=extra)
