"""`davies_bouldin`: the worst neighbour of each class, averaged."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments, unit_blocks
from repdiag.metrics.classes.pair_means import squared_mean_distances
from repdiag.metrics.registry import metric


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="davies1979",
    interval="u_statistic",
    default=False,
)
def davies_bouldin(features: Features, labels: Labels) -> MetricValue:
    """Davies-Bouldin index: for each class the largest (spread_a + spread_b) / distance of means, averaged.

    Formula:      mean_a max_{b != a} (s_a + s_b) / ||m_a - m_b||,  s_c = mean_{i in c} ||z_i - m_c||
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C].
    Range:        0 (collapsed classes) upwards without bound.  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  unit rows z = features / ||features||; Euclidean distance, not squared; m_c is not normalised again.
    Read it as:   per_class shows which classes blend into a neighbour.
    Limits:       takes the worst pair of each class, so it is noisy when there are many small classes.
    Cost:         O(N D + C^2 D) time, O(C D + C^2) memory.
    Reference:    Davies & Bouldin 1979. Code compared: scikit-learn, davies_bouldin_score.
                  Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> float(davies_bouldin(rows, torch.tensor([0, 0, 1, 1])))
        0.0
    """
    moments = class_moments(features, labels, normalize=True)
    classes = len(moments.counts)
    if classes < 2:
        return undefined("needs rows of two classes", n=len(features))
    if classes == len(features):
        return undefined("no class has two rows", n=len(features))
    means, index = moments.means, torch.searchsorted(moments.labels, labels)
    spread = torch.zeros_like(moments.counts)
    for place, rows in unit_blocks(features):
        away = torch.linalg.vector_norm(rows - means[index[place]], dim=1)
        spread.index_add_(0, index[place], away)
    spread /= moments.counts
    distances = squared_mean_distances(moments).sqrt()
    distances.fill_diagonal_(float("inf"))
    if float(distances.min()) <= 1e-12:
        return undefined("two classes have the same mean", n=len(features))
    worst = ((spread[:, None] + spread[None, :]) / distances).amax(dim=1)
    return MetricValue(value=float(worst.mean()), n=len(features), per_class=worst)
