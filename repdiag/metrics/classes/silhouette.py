"""`silhouette`: is a row closer to its own class than to the nearest other one?"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import ClassMoments, class_moments, float64_unit_rows, unit_blocks
from repdiag.metrics.registry import metric

Distance = Literal["cosine", "euclidean"]


@metric(
    direction="higher",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="rousseeuw1987",
    interval="u_statistic",
)
def silhouette(features: Features, labels: Labels, *, distance: Distance = "cosine") -> MetricValue:
    """Silhouette: mean of (b - a) / max(a, b), with a the mean distance to the own class and b to the nearest other.

    Formula:      s_i = (b_i - a_i) / max(a_i, b_i);  a_i over the other rows of the class of i, b_i = min over other
                  classes of the mean distance.  cosine: 1 - z_i . z_j;  euclidean: ||z_i - z_j||,  z = features /
                  ||features||
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C].
    Range:        -1 (every row in the wrong class) over 0 (overlap) to 1 (far, tight classes).  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  mean over rows. A row of a singleton class counts as 0, and so does a row with a = b = 0. The cosine
                  form needs class sums only. The two distances give different numbers, since 2 (1 - cos) is the
                  *squared* distance. For the silhouette of a clustering, pass cluster numbers as labels.
    Read it as:   small positive values are usual in high dimensions. Compare with permuted labels, which give about 0
                  or less.
    Limits:       favours round clusters of one size; a class of several islands gets a low value.
    Cost:         cosine O(N C D) time, euclidean O(N^2 D) time; O(C D) memory and one block of rows.
    Reference:    Rousseeuw 1987. Code compared: scikit-learn, silhouette_score. Golden:
                  tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> float(silhouette(rows, torch.tensor([0, 0, 1, 1])))
        1.0
    """
    moments = class_moments(features, labels, normalize=True)
    classes = len(moments.counts)
    if classes < 2:
        return undefined("needs rows of two classes", n=len(features))
    if classes == len(features):
        return undefined("every row is a class of its own", n=len(features))
    index = torch.searchsorted(moments.labels, labels)
    everything = float64_unit_rows(features) if distance == "euclidean" else None
    totals = torch.zeros_like(moments.counts)
    for place, unit in unit_blocks(features):
        if everything is None:
            summed = moments.counts - unit @ moments.sums.T
            own = 1.0 - unit.square().sum(dim=1)
        else:
            summed = _euclidean_sums(unit, everything, index=index, start=place.start, classes=classes)
            own = torch.zeros_like(unit[:, 0])
        totals.index_add_(0, index[place], _scores(summed, own, index=index[place], moments=moments))
    return MetricValue(
        value=float(totals.sum() / len(features)),
        n=len(features),
        per_class=totals / moments.counts,
        extra={"singleton_classes": int((moments.counts == 1).sum())},
    )


def _scores(summed: Tensor, own: Tensor, *, index: Tensor, moments: ClassMoments) -> Tensor:
    """Return s_i from the distances summed over each class [B, C] and the distance of each row to itself [B]."""
    counts, mine = moments.counts[index], index[:, None]
    inside = (summed.gather(1, mine).squeeze(1) - own) / (counts - 1.0).clamp_min(1.0)
    outside = (summed / moments.counts).scatter(1, mine, float("inf")).amin(dim=1)
    # Rounding of the class sums leaves about 1e-16 where all distances are 0.
    inside, outside = inside.clamp_min(0.0), outside.clamp_min(0.0)
    larger = torch.maximum(inside, outside)
    apart = (larger > 1e-14) & (counts > 1)
    return torch.where(apart, (outside - inside) / torch.where(apart, larger, 1.0), 0.0)


def _euclidean_sums(unit: Tensor, everything: Tensor, *, index: Tensor, start: int, classes: int) -> Tensor:
    """Return the Euclidean distances of a block of rows summed over each class [B, C]."""
    distances = torch.cdist(unit, everything)
    local = torch.arange(len(unit), device=unit.device)
    distances[local, start + local] = 0.0
    summed = unit.new_zeros((len(unit), classes))
    return summed.index_add_(1, index, distances)
