"""`tolerance`: how alike rows of one class are."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.registry import metric

Average = Literal["pairs", "classes", "classes_with_self", "all_pairs", "all_pairs_with_self"]


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="wang2021",
    interval="u_statistic",
)
def tolerance(features: Features, labels: Labels, *, average: Average = "pairs") -> MetricValue:
    """Tolerance: the mean cosine similarity of two rows of the same class.

    Formula:      mean over pairs i<j with y_i = y_j of cos(z_i, z_j) = 1 - mean ||z_i - z_j||^2 / 2
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        about 0 (classes unrelated to the space) to 1 (each class one direction).  Better: context:
                  high means tight classes, and it is highest in a collapsed space.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  average="pairs" weights all same-class pairs alike. "classes" is the mean over classes of each class's
                  mean. "classes_with_self" is the published code: its class mean divides by n_c^2 although its diagonal
                  is set to zero, so it is low by a factor of (n_c - 1) / n_c. "all_pairs" is the paper's expectation:
                  over all pairs, with 0 for different labels. "all_pairs_with_self" is the same over N^2 pairs with the
                  diagonal. Singleton classes have no pair and do not count, except as 0 in "classes_with_self".
    Read it as:   1 - intra_class_distance / 2, on the scale of cosines, if both average over pairs or both over
                  classes. The defaults differ: this one averages over pairs, that one over classes. For classes of
                  equal size both are the same.
    Limits:       rises with mean_cosine, whatever the classes.
    Cost:         O(N D) time, O(C D) memory.
    Reference:    Wang & Liu 2021, section 3.3. Golden: tests/golden/test_golden_pairs.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
                  >>> float(tolerance(rows, torch.tensor([0, 0, 1])))
                  1.0
    """
    moments = class_moments(features, labels, normalize=True)
    counts, rows = moments.counts, len(features)
    sums = moments.sums.square().sum(dim=1) - counts  # over ordered pairs without self
    paired = counts > 1
    if not bool(paired.any()):
        return undefined("no class has two rows", n=rows)
    value = _average(average, sums, counts)
    per_class = torch.where(paired, sums / (counts * (counts - 1)).clamp_min(1.0), torch.nan)
    return MetricValue(
        value=float(value.clamp(-1.0, 1.0)),
        n=rows,
        per_class=per_class,
        extra={"singleton_classes": int((~paired).sum())},
    )


def _average(average: Average, sums: Tensor, counts: Tensor) -> Tensor:
    rows, paired = counts.sum(), counts > 1
    if average == "pairs":
        return sums.sum() / (counts * (counts - 1)).sum()
    if average == "classes":
        return (sums / (counts * (counts - 1)))[paired].mean()
    if average == "classes_with_self":
        return (sums / counts.square()).mean()
    if average == "all_pairs":
        return sums.sum() / (rows * (rows - 1))
    if average == "all_pairs_with_self":
        return (sums + counts).sum() / rows.square()
    raise MetricError("unknown average", found=repr(average))
