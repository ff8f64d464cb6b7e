"""`precision_at_1`: does a row's nearest partner share its class?"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.neighbors.ranked_lists import on_parts
from repdiag.metrics.neighbors.retrieval import class_sizes, prepared
from repdiag.metrics.pairwise import Pairing, PairRequest, TopK, over_pairs
from repdiag.metrics.registry import metric


def _requests(features: Tensor, *, normalize: bool, **_: Any) -> list[PairRequest]:
    return [PairRequest(Pairing.within(prepared(features, normalize=normalize)), TopK(1))]


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="musgrave2020",
    interval="halves",
    reductions=_requests,
    on_parts=on_parts(lambda part: float(part.first.mean())),
)
def precision_at_1(features: Features, labels: Labels, *, normalize: bool = True) -> MetricValue:
    """Precision at 1: the share of rows whose nearest partner is of the same class.

    Formula:      mean_i [ y_{nn(i)} = y_i ],  nn(i) = argmax_{j != i} cos(z_i, z_j)
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 to 1; chance is about 1 / C.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  leave-one-out within one set; the row itself is excluded by index. Unit rows (normalize=False: raw
                  rows, Euclidean distance). Equal similarities go to the lower row. Rows that are alone in their class
                  cannot succeed; they are left out and counted in extra["lone_rows"]. Since version 2 the interval
                  covers other images of these classes, which are gallery and queries at once; that of version 1 covered
                  other classes. The values are the same.
    Read it as:   locality: are the very nearest rows of the same class? If it is far above r_precision, classes lie in
                  many islands.
    Limits:       near-duplicates of one photograph raise it.
    Cost:         O(N^2 D / 2) multiply-adds, O(N D) memory.
    Reference:    Musgrave et al. 2020; code compared: pytorch-metric-learning, utils/accuracy_calculator.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(precision_at_1(rows, torch.tensor([0, 0, 1, 1])))
                  1.0
    """
    queries = (class_sizes(labels) > 1).nonzero().flatten()
    if len(queries) == 0:
        return undefined("no class has two rows", n=len(features))
    nearest = over_pairs(prepared(features, normalize=normalize), TopK(1)).index[queries, 0]
    hits = (labels[nearest] == labels[queries]).double()
    extra = {"lone_rows": len(labels) - len(queries)}
    return MetricValue(value=float(hits.mean()), n=len(queries), per_row=hits, rows=queries, extra=extra)
