"""`cross_gallery`: new queries in the old gallery: does a stored index still serve?"""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.pairwise import TopK, over_cross, over_pairs, unit_rows
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Seed
from repdiag.metrics.similarity.neighbor_sets import NO_NEIGHBOURS, has_no_neighbours
from repdiag.metrics.similarity.neighbors_kept import TIE
from repdiag.metrics.similarity.same_rows import check_same_rows


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="huh2024",
    interval="halves",
    second="other",
    default=False,
    variants=({}, {"rotated": True}),
)
def cross_gallery(
    features: Features, *, other_features: Float[Tensor, "M E"], rotated: bool = False, seed: Seed = 0
) -> MetricValue:
    """Cross-gallery retrieval: share of rows whose new vector finds, in the old gallery, what the old vector found.

    Formula:      mean_i [cos(x_i, x_j) >= max_{l != i} cos(x_i, x_l) - t], j = argmax_{l != i} cos(y_i, x_l), t = 2^-21
    Shapes:       features [N, D] (the old encoder, the gallery), other_features [N, D] (the new one, the queries) ->
                  scalar; per_row [N]. Unlike widths only with rotated=True.
    Range:        about 1 / (N - 1) (the spaces have nothing to do with one another) to 1 (no new index needed). Better:
                  higher.
    Invariant:    one rotation of both encoders, scale, row order.   Not invariant: translation, a rotation of one of
                  them.
    Conventions:  unit rows; a row's own entry is left out of the gallery; near ties as in neighbors_kept. rotated=True
                  first turns the new vectors by the orthogonal map that fits them best to the old ones. The map is
                  fitted on one half of the rows and applied to the other, both ways: whatever it repairs was a
                  rotation. extra["own_found"] is the share of rows whose new vector lies nearest to their own old one.
    Read it as:   whether a stored index must be built again.
    Limits:       falls as the gallery grows. A rotation cannot be fitted to fewer rows than dimensions: with N / 2 < D
                  the value of rotated=True is too low.
    Cost:         O(N^2 D) time, O(N) memory and one tile; rotated=True adds O(N D E + D^3).
    Reference:    Ours; Huh et al. 2024 compare neighbour sets, each in its own gallery.
    Example:
        >>> import torch
        >>> rows = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
        >>> turned = rows[:, [1, 2, 0]]
        >>> float(cross_gallery(rows, other_features=turned)) < 0.5
        True
        >>> float(cross_gallery(rows, other_features=turned, rotated=True))
        1.0
    """
    check_same_rows(features, other_features)
    count, widths = len(features), (features.shape[1], other_features.shape[1])
    if count < 4:
        return undefined("needs four rows", n=count)
    if widths[0] != widths[1] and not rotated:
        return undefined(f"vectors of {widths[1]} numbers have no place in a gallery of {widths[0]}", n=count)
    if has_no_neighbours(features, "cosine") or has_no_neighbours(other_features, "cosine"):
        return undefined(NO_NEIGHBOURS, n=count)
    queries = turned_onto(features, other_features, seed=seed) if rotated else other_features
    if bool((queries == 0).all(dim=1).any()):
        return undefined("the rotation maps some rows to zero: there are too few rows for the width", n=count)
    kind = torch.promote_types(features.dtype, other_features.dtype)
    gallery, asked = unit_rows(features.to(kind)), unit_rows(queries.to(kind))
    everyone = torch.arange(count, device=features.device)
    found = over_cross(asked, gallery, TopK(1), own=everyone).index[:, 0]
    best = over_pairs(gallery, TopK(1)).score[:, 0]
    hits = (gallery.exact_scores(everyone, gallery, found) >= best - TIE).double()
    own = over_cross(asked, gallery, TopK(1)).score[:, 0] <= asked.exact_scores(everyone, gallery, everyone) + TIE
    return MetricValue(value=float(hits.mean()), n=count, per_row=hits, extra={"own_found": float(own.double().mean())})


def turned_onto(features: Tensor, other: Tensor, *, seed: int = 0) -> Tensor:
    """Return the unit rows of `other` turned onto those of `features` by maps fitted on the other half of the rows.

    Shapes: features [N, D], other [N, E] -> [N, D]. Each map is the orthogonal Procrustes solution U V^T of
    other^T features = U S V^T (Schonemann 1966), about the origin and without a scale.
    """
    old, new = float64_unit_rows(features), float64_unit_rows(other)
    order = torch.randperm(len(old), generator=torch.Generator().manual_seed(seed)).to(old.device)
    halves = order[: len(old) // 2], order[len(old) // 2 :]
    turned = torch.empty_like(old)
    for fitted, applied in (halves, halves[::-1]):
        left, _, right = torch.linalg.svd(new[fitted].T @ old[fitted], full_matrices=False)
        turned[applied] = new[applied] @ (left @ right)
    return turned
