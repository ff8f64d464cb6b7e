"""`mutual_knn`: do two encoders give a row the same neighbours?"""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Share
from repdiag.metrics.similarity.neighbor_sets import (
    NO_NEIGHBOURS,
    Similarity,
    clamp_outliers,
    has_no_neighbours,
    neighbor_sets,
    shared_counts,
)
from repdiag.metrics.similarity.same_rows import check_same_rows


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=3,
    reference="huh2024",
    interval="halves",
    second="other",
)
def mutual_knn(
    features: Features,
    *,
    other_features: Float[Tensor, "M E"],
    k: Count = 10,
    similarity: Similarity = "cosine",
    clamp: Share | None = None,
) -> MetricValue:
    """Mutual kNN: mean share of the k nearest neighbours that two encoders have in common.

    Formula:      mean_i |S_X(i) & S_Y(i)| / k,  S(i) = the k other rows most similar to row i
    Shapes:       features [N, D], other_features [N, E] -> scalar; per_row [N].
    Range:        k / (N - 1) in expectation (unrelated) to 1 (the same neighbours).  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  similarity "cosine", or "inner_product" of the raw rows. The row itself is excluded by its index. Of
                  exact copies, either may count as the nearer. clamp=0.95 is the platonic-rep pipeline: it first clamps
                  each encoder's features at the 95 % quantile of their absolute values, and sorts all similarities,
                  which orders exact copies as that code does. The interval comes from splits of the rows (of whole
                  classes, if there are labels) into disjoint halves; version 1 kept the gallery fixed, and its interval
                  was too narrow.
    Read it as:   agreement of the local structure, which linear_cka does not see.
    Limits:       hubs are neighbours of everything and raise the value. Compare at equal N and k.
    Cost:         O(N^2 (D + E)) time, O(N k) memory and one tile.
    Reference:    Huh et al. 2024, appendix A. Code compared: minyoungg/platonic-rep, metrics.py.
                  Golden: tests/golden/test_golden_similarity.py.
    Example:
        >>> import torch
        >>> rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
        >>> float(mutual_knn(rows, other_features=2.0 * rows, k=4))
        1.0
    """
    check_same_rows(features, other_features)
    if not 1 <= k < len(features):
        return undefined(f"{k} neighbours of {len(features)} rows", n=len(features))
    if has_no_neighbours(features, similarity) or has_no_neighbours(other_features, similarity):
        return undefined(NO_NEIGHBOURS, n=len(features))
    if clamp is not None:
        features, other_features = clamp_outliers(features, clamp), clamp_outliers(other_features, clamp)
    first, second = (
        neighbor_sets(rows, k, similarity=similarity, full_sort=clamp is not None)
        for rows in (features, other_features)
    )
    shared = shared_counts(first, second)
    overlap = shared.double() / k
    return MetricValue(value=float(overlap.mean()), n=len(features), per_row=overlap)
