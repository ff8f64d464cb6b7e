"""`neighbor_jaccard`: Jaccard index of the neighbour sets of two encoders."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count
from repdiag.metrics.similarity.neighbor_sets import (
    NO_NEIGHBOURS,
    Similarity,
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
    reference="wang2021",
    interval="halves",
    second="other",
)
def neighbor_jaccard(
    features: Features,
    *,
    other_features: Float[Tensor, "M E"],
    k: Count = 10,
    similarity: Similarity = "cosine",
) -> MetricValue:
    """Neighbour Jaccard: mean Jaccard index of the two encoders' k-neighbour sets.

    Formula:      mean_i |S_X(i) & S_Y(i)| / |S_X(i) | S_Y(i)|,  S(i) = the k other rows most similar to row i
    Shapes:       features [N, D], other_features [N, E] -> scalar; per_row [N].
    Range:        0 (no neighbour in common) to 1 (the same neighbours).  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as mutual_knn. With m of k neighbours in common a row scores m / (2 k - m), at most m / k. The
                  interval is that of mutual_knn (since version 2).
    Read it as:   mutual_knn on the scale of the similarity literature.
    Limits:       as mutual_knn.
    Cost:         that of mutual_knn, whose neighbours it shares.
    Reference:    Wang et al. 2021, nearest-neighbour similarity. Golden: the overlap counts of mutual_knn.
    Example:
        >>> import torch
        >>> rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
        >>> float(neighbor_jaccard(rows, other_features=2.0 * rows, k=4))
        1.0
    """
    check_same_rows(features, other_features)
    if not 1 <= k < len(features):
        return undefined(f"{k} neighbours of {len(features)} rows", n=len(features))
    if has_no_neighbours(features, similarity) or has_no_neighbours(other_features, similarity):
        return undefined(NO_NEIGHBOURS, n=len(features))
    shared = shared_counts(
        neighbor_sets(features, k, similarity=similarity), neighbor_sets(other_features, k, similarity=similarity)
    ).double()
    jaccard = shared / (2 * k - shared)
    return MetricValue(value=float(jaccard.mean()), n=len(features), per_row=jaccard)
