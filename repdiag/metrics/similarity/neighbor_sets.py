"""The k most similar rows of every row, as sets to be compared between two encoders."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.metrics.algebra.moments import float64_unit_rows, in_one_point
from repdiag.metrics.pairwise.sharing import memoised, tensor_key

Similarity = Literal["cosine", "inner_product"]
NO_NEIGHBOURS = "an encoder gives all rows the same features, so no row is nearer than another"
_BLOCK = 2**24  # similarities held at once


def neighbor_sets(features: Tensor, k: int, *, similarity: Similarity, full_sort: bool = False) -> Tensor:
    """Return the indices [N, k] of the k most similar other rows; the row itself is excluded by its index.

    Similarities are float64 products. Which of two exact copies counts as the nearer is arbitrary: a selection of the
    k best and a `full_sort` choose differently, which moves a share of common neighbours by about 1e-4.
    """
    key = ("neighbor_sets", tensor_key(features), k, similarity, full_sort)
    return memoised(key, lambda: _neighbor_sets(features, k, similarity, full_sort), keep=features)


def kernel_rows(features: Tensor, similarity: Similarity) -> Tensor:
    """Return the float64 rows whose inner products are the similarity."""
    return float64_unit_rows(features) if similarity == "cosine" else features.double()


def has_no_neighbours(features: Tensor, similarity: Similarity) -> bool:
    """Say whether all rows are equally similar to one another, so that any of them may be called the nearest."""
    if similarity == "inner_product":
        return in_one_point(features)
    ends = features[:: max(1, len(features) // 2)]  # hardly ever are these alike, and then a look at all is not needed
    return in_one_point(float64_unit_rows(ends)) and in_one_point(float64_unit_rows(features))


def _neighbor_sets(features: Tensor, k: int, similarity: Similarity, full_sort: bool) -> Tensor:
    rows = kernel_rows(features, similarity)
    step, found = max(1, _BLOCK // len(rows)), []
    for start in range(0, len(rows), step):
        products = rows[start : start + step] @ rows.T
        products.diagonal(start).fill_(float("-inf"))
        best = products.argsort(dim=1, descending=True)[:, :k] if full_sort else products.topk(k, dim=1).indices
        found.append(best)
    return torch.cat(found)


def shared_counts(first: Tensor, second: Tensor) -> Tensor:
    """Return how many indices each row of two [N, k] index matrices has in common [N]."""
    return (first[:, :, None] == second[:, None, :]).sum(dim=(1, 2))


def clamp_outliers(features: Tensor, quantile: float) -> Tensor:
    """Return the features clamped to plus or minus the given quantile of their absolute values (lower value)."""
    magnitudes = features.abs().flatten().sort().values
    limit = float(magnitudes[min(int(quantile * magnitudes.numel()), magnitudes.numel() - 1)])
    return features.clamp(-limit, limit)
