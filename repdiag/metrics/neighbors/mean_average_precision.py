"""`mean_average_precision`: average precision over the whole ranking."""

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
    default=False,
)
def mean_average_precision(features: Features, labels: Labels, *, normalize: bool = True) -> MetricValue:
    """Mean average precision: the precision at the rank of each row of the same class, over the whole ranking.

    Formula:      mean_i mean_{j : y_j = y_i, j != i} #{relevant up to j's rank} / j's rank
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 to 1; chance is a little above 1 / C.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1: leave-one-out, unit rows unless normalize=False, ties to the lower row, lone rows
                  left out and counted in extra; float64 scores.
    Read it as:   how far down the ranking one has to go to find the whole class.
    Limits:       dominated by the far end of the ranking. map_at_r looks only at the near end, and is cheaper.
    Cost:         O(N^2 (D + log N)), in panels.
    Reference:    Musgrave et al. 2020; code compared: pytorch-metric-learning, utils/accuracy_calculator.py, k=None.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(mean_average_precision(rows, torch.tensor([0, 0, 1, 1])))
                  1.0
    """
    parts = [torch.empty(0, dtype=torch.float64, device=features.device)]
    queries = [torch.empty(0, dtype=torch.int64, device=features.device)]
    for part, relevant in relevant_by_rank(features, labels, normalize=normalize):
        queries.append(part)
        rank = torch.arange(1, relevant.shape[1] + 1, dtype=torch.float64, device=features.device)
        precision = relevant.cumsum(dim=1) / rank
        parts.append((precision * relevant).sum(dim=1) / relevant.sum(dim=1))
    each = torch.cat(parts)
    if len(each) == 0:
        return undefined("no class has two rows", n=len(features))
    extra = {"lone_rows": len(labels) - len(each)}
    return MetricValue(value=float(each.mean()), n=len(each), per_row=each, rows=torch.cat(queries), extra=extra)
