"""The pieces of one class: k-means on a few hundred rows, many times over."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

_STARTS, _MANY_STARTS, _ITERATIONS = 3, 10, 12


def squared_distances(rows: Rows, number: int, *, seed: int) -> Rows:
    """Return the squared distance of every row from the nearest of `number` k-means centres [N]."""
    if number == 1:
        spread: Rows = np.square(rows - rows.mean(axis=0)).sum(axis=1)
        return spread
    squared, _ = _trained(rows, number, seed=seed, starts=_STARTS).index.search(rows, 1)
    nearest: Rows = squared[:, 0]
    return nearest


def centres(rows: Rows, number: int, *, seed: int) -> Rows:
    """Return `number` k-means centres, or all rows where there are no more [K, D].

    The best of many starts: where an island has no centre and another has two, there is a border without a valley.
    """
    rows = np.ascontiguousarray(rows)
    found: Rows = rows if number >= len(rows) else _trained(rows, number, seed=seed, starts=_MANY_STARTS).centroids
    return found


def _trained(rows: Rows, number: int, *, seed: int, starts: int) -> Any:
    import faiss

    model = faiss.Kmeans(
        rows.shape[1],
        number,
        niter=_ITERATIONS,
        nredo=starts,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows),
    )
    if hasattr(faiss, "ClusteringInitMethod_KMEANS_PLUS_PLUS"):
        # Rows drawn at random miss a third of the islands; older releases have no other start.
        model.cp.init_method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    model.train(rows)
    return model
