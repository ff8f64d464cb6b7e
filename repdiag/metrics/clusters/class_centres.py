"""The pieces of one class: k-means on a few hundred rows, many times over."""

from __future__ import annotations

import numpy as np

from repdiag.metrics.clusters.faiss_kmeans import trained
from repdiag.metrics.clusters.spread_starts import RowArray

_STARTS, _MANY_STARTS, _ITERATIONS = 3, 10, 12


def squared_distances(rows: RowArray, number: int, *, seed: int) -> RowArray:
    """Return the squared distance of every row from the nearest of `number` k-means centres [N]."""
    if number == 1:
        spread: RowArray = np.square(rows - rows.mean(axis=0)).sum(axis=1)
        return spread
    squared, _ = trained(rows, number, niter=_ITERATIONS, nredo=_STARTS, seed=seed).index.search(rows, 1)
    nearest: RowArray = squared[:, 0]
    return nearest


def centres(rows: RowArray, number: int, *, seed: int) -> RowArray:
    """Return `number` k-means centres, or all rows where there are no more [K, D].

    The best of many starts: where an island has no centre and another has two, there is a border without a valley.
    """
    rows = np.ascontiguousarray(rows)
    if number >= len(rows):
        return rows
    found: RowArray = trained(rows, number, niter=_ITERATIONS, nredo=_MANY_STARTS, seed=seed).centroids
    return found
