"""`r_precision`: how many of a row's R nearest partners share its class?"""

from __future__ import annotations

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
    on_parts=on_parts(lambda part: float(part.precision.mean())),
)
def r_precision(features: Features, labels: Labels, *, normalize: bool = True) -> MetricValue:
    """R-precision: the share of a row's class among its R nearest partners, R being the number it could find.

    Formula:      mean_i #{j in R_i-NN(i) : y_j = y_i} / R_i,  R_i = size of i's class - 1
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 to 1; chance is about 1 / C for equal classes.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1: leave-one-out, unit rows unless normalize=False, ties to the lower row, lone rows
                  left out and counted in extra.
    Read it as:   compactness: 1 if each class is nearer to itself than to anything else. If it is small beside a large
                  precision_at_1, classes are scattered in islands.
    Limits:       low for classes of several natural parts, even if those parts are well separated.
    Cost:         O(N^2 D / 2) multiply-adds, O(N (D + max R)) memory.
    Reference:    Musgrave et al. 2020; code compared: pytorch-metric-learning, utils/accuracy_calculator.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> float(r_precision(rows, torch.tensor([0, 0, 1, 1])))
                  1.0
    """
    found = retrieve(features, labels, normalize=normalize)
    if found is None:
        return undefined("no class has two rows", n=len(features))
    parts = found.relevant.sum(dim=1) / found.wanted.double()
    return MetricValue(
        value=float(parts.mean()),
        n=len(parts),
        per_row=parts,
        rows=found.queries,
        extra={"lone_rows": found.lone},
    )
