"""`row_cosine`: how far did every row's own vector turn?"""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.registry import metric
from repdiag.metrics.similarity.same_rows import check_same_rows


@metric(
    direction="higher",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="huh2024",
    interval="per_query",
    second="other",
    default=False,
)
def row_cosine(features: Features, *, other_features: Float[Tensor, "M E"]) -> MetricValue:
    """Row cosine: mean cosine of the two vectors that two encoders give the same row.

    Formula:      mean_i <x_i, y_i> / (||x_i|| ||y_i||)
    Shapes:       features [N, D], other_features [N, D] -> scalar; per_row [N].
    Range:        -1 to 1 (the same directions).  Better: higher.
    Invariant:    one rotation of both encoders, scale, row order.   Not invariant: translation, a rotation of one of
                  them.
    Conventions:  raw rows, not centred; undefined if the widths differ. extra["lowest"] is the smallest of the cosines.
    Read it as:   how far the rows moved. It says little about search results: at a mean of .9996 the nearest row
                  changed for every sixth query. neighbors_kept counts that.
    Limits:       rows in a narrow cone have cosines near 1 whatever happens to them.
    Cost:         O(N D) time and memory.
    Reference:    Ours; the neighbour sets of Huh et al. 2024 say what follows of it.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> float(row_cosine(rows, other_features=torch.tensor([[3.0, 0.0], [1.0, 0.0]])))
        0.5
    """
    check_same_rows(features, other_features)
    widths = (features.shape[1], other_features.shape[1])
    if widths[0] != widths[1]:
        return undefined(f"vectors of {widths[0]} and of {widths[1]} numbers have no angle", n=len(features))
    cosines = (float64_unit_rows(features) * float64_unit_rows(other_features)).sum(dim=1).clamp(-1.0, 1.0)
    extra = {"lowest": float(cosines.min())}
    return MetricValue(value=float(cosines.mean()), n=len(features), per_row=cosines, extra=extra)
