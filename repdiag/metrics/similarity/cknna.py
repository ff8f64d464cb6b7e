"""`cknna`: centred kernel alignment restricted to common nearest neighbours."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Tensor
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, NotNegative
from repdiag.metrics.similarity.neighbor_sets import (
    NO_NEIGHBOURS,
    Similarity,
    has_no_neighbours,
    kernel_rows,
    neighbor_sets,
)
from repdiag.metrics.similarity.same_rows import check_same_rows


@metric(
    direction="higher",
    bounds=(float("-inf"), float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="huh2024",
    interval="subsample",
    second="other",
    default=False,
)
def cknna(
    features: Features,
    *,
    other_features: Float[Tensor, "M E"],
    k: Count = 10,
    similarity: Similarity = "cosine",
    eps: NotNegative = 1e-6,
) -> MetricValue:
    """CKNNA: unbiased HSIC of the two kernels where both encoders see a neighbour, normalised like CKA.

    Formula:      H(X, Y) / (sqrt(H(X, X) H(Y, Y)) + eps),  H = unbiased HSIC of M o K and M o L,  M_ij = 1 where j is
                  among the k nearest of i in both encoders, K, L = inner products
    Shapes:       features [N, D], other_features [N, E] -> scalar.
    Range:        about 0 (no common neighbours) to about 1; not a true bound, as M differs between the three terms.
                  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation; scale on raw rows, because of eps.
    Conventions:  similarity="cosine" uses unit rows, "inner_product" raw rows, for neighbours and kernels alike. The
                  row itself is excluded by its index. HSIC as in Song et al. 2012, eq. 5, with eps added as in
                  platonic-rep.
    Read it as:   between linear_cka (all pairs) and mutual_knn (neighbours, without distances).
    Limits:       most entries are zero, so HSIC is tiny and eps is not negligible: report eps.
    Cost:         O(N^2 (D + E)) time, O(N k) memory: the masked kernels are kept as lists.
    Reference:    Huh et al. 2024, appendix A. Code compared: minyoungg/platonic-rep, metrics.py.
                  Golden: tests/golden/test_golden_similarity.py.
    Example:
        >>> import torch
        >>> rows = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
        >>> round(float(cknna(rows, other_features=rows, k=4)), 3)
        1.0
    """
    check_same_rows(features, other_features)
    rows = len(features)
    if rows < 4 or not 2 <= k < rows:
        return undefined("needs four rows and 2 to N - 1 neighbours", n=rows)
    if has_no_neighbours(features, similarity) or has_no_neighbours(other_features, similarity):
        return undefined(NO_NEIGHBOURS, n=rows)
    first = neighbor_sets(features, k, similarity=similarity)
    second = neighbor_sets(other_features, k, similarity=similarity)
    x, y = kernel_rows(features, similarity), kernel_rows(other_features, similarity)
    both = _common(first, second)
    if len(both[0]) == 0:
        return MetricValue(value=0.0, n=rows)
    own, other = _common(first, first), _common(second, second)
    cross = _sparse_hsic(_masked(x, both), _masked(y, both), both, rows=rows)
    norm_x = _sparse_hsic(_masked(x, own), _masked(x, own), own, rows=rows)
    norm_y = _sparse_hsic(_masked(y, other), _masked(y, other), other, rows=rows)
    if norm_x * norm_y <= 0.0:
        return undefined("the kernel of an encoder on its own neighbours has no positive HSIC", n=rows)
    return MetricValue(value=cross / (norm_x**0.5 * norm_y**0.5 + eps), n=rows)


def _common(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (row, neighbour) pairs that both index matrices have."""
    kept = (first[:, :, None] == second[:, None, :]).any(dim=2)
    row, place = kept.nonzero(as_tuple=True)
    return row, first[row, place]


def _masked(rows: Tensor, pairs: tuple[Tensor, Tensor]) -> Tensor:
    """Return the inner products of the pairs, the only entries of the masked kernel that are not zero."""
    return (rows[pairs[0]] * rows[pairs[1]]).sum(dim=1)


def _sparse_hsic(k: Tensor, l: Tensor, pairs: tuple[Tensor, Tensor], *, rows: int) -> float:  # noqa: E741
    """Return the unbiased HSIC of two masked kernels K, L given by their entries at the same (row, column) pairs.

    [tr(K L) + sum K sum L / ((n - 1)(n - 2)) - 2 / (n - 2) sum_ij (K L)_ij] / (n (n - 3)). The mask is not symmetric,
    so only mutual neighbours reach the trace; the last sum is that of column sums of K times row sums of L.
    """
    row, column = pairs
    place, transposed = row * rows + column, column * rows + row
    order = place.argsort()
    found = torch.searchsorted(place[order], transposed).clamp_max(len(place) - 1)
    mirrored = torch.where(place[order][found] == transposed, l[order][found], 0.0)
    columns = torch.zeros(rows, dtype=k.dtype, device=k.device).index_add_(0, column, k)
    across = torch.zeros(rows, dtype=l.dtype, device=l.device).index_add_(0, row, l)
    trace, sums = (k * mirrored).sum(), k.sum() * l.sum() / ((rows - 1) * (rows - 2))
    return float(trace + sums - 2.0 * (columns @ across) / (rows - 2)) / (rows * (rows - 3))
