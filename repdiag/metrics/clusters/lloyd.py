"""Lloyd's iterations of several starts of k-means at once: every block of rows is read once for all their centres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.spread_starts import RowArray

Assignments = NDArray[np.int64]
Numbers = NDArray[np.float64]

_BLOCK = 2**20  # numbers of a block of rows, and of its distances from all centres: 4 MB each, which caches hold
_SPLIT = np.float32(1.0 / 1024.0)  # how far the halves of a cluster that was split start from its centre


def best_of(rows: RowArray, starts: RowArray, *, iterations: int) -> Assignments:
    """Return the assignments [N] of the start [R, K, D] whose sum of squared distances ends lowest.

    A start stands still, and costs nothing any more, once an iteration moves none of its rows.
    """
    count, clusters, _ = starts.shape
    centres = np.array(starts, dtype=np.float32)
    assigned = np.full((count, len(rows)), -1, dtype=np.int64)
    objective = np.zeros(count)
    moving = np.arange(count)
    for _ in range(iterations):
        found, objective[moving], sums = _step(rows, centres[moving])
        moved = (found != assigned[moving]).any(axis=1)
        assigned[moving] = found
        moving, sums = moving[moved], sums[moved]
        if len(moving) == 0:
            break
        for start, total in zip(moving, sums, strict=True):
            centres[start] = means(total, np.bincount(assigned[start], minlength=clusters))
    if len(moving) > 0:
        assigned[moving], objective[moving], _ = _step(rows, centres[moving])
    best: Assignments = assigned[int(objective.argmin())]
    return best


def _step(rows: RowArray, centres: RowArray) -> tuple[Assignments, Numbers, Numbers]:
    """Return the nearest centre of every row [R, N], the objectives [R], the sums of each centre's rows [R, K, D]."""
    from scipy.sparse import csc_array

    count, clusters, dims = centres.shape
    flat = centres.reshape(count * clusters, dims)
    lengths = np.einsum("ij,ij->i", flat, flat)
    first = clusters * np.arange(count)
    nearest = np.empty((count, len(rows)), dtype=np.int64)
    objective, sums = np.zeros(count), np.zeros(flat.shape)
    height = max(64, _BLOCK // max(dims, len(flat)))
    for at in range(0, len(rows), height):
        block = rows[at : at + height]
        distances = block @ (-2.0 * flat.T)
        distances += lengths
        by_start = distances.reshape(len(block), count, clusters)
        chosen = by_start.argmin(axis=2)
        nearest[:, at : at + height] = chosen.T
        objective += np.take_along_axis(by_start, chosen[:, :, None], axis=2)[:, :, 0].sum(axis=0, dtype=np.float64)
        # One column a row, with a one for the centre of each start: the product adds every row to its centres.
        ends = count * np.arange(len(block) + 1)
        ones = np.ones(chosen.size, dtype=np.float32)
        sums += csc_array((ones, (chosen + first).ravel(), ends), shape=(len(flat), len(block))) @ block
    return nearest, objective, sums.reshape(centres.shape)


def aside_of_split(dims: int) -> RowArray:
    """Return by which share of itself each number of a split cluster's centre moves [D]: up for one half, else down."""
    return np.where(np.arange(dims) % 2 == 0, _SPLIT, -_SPLIT)


def means(sums: Numbers, counts: NDArray[np.int64]) -> RowArray:
    """Return the centres; one without rows takes half of the largest cluster, beside its centre."""
    centres = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    aside = aside_of_split(centres.shape[1])
    left = counts.copy()
    for empty in np.flatnonzero(counts == 0):
        largest = int(left.argmax())
        centres[empty] = centres[largest] * (1.0 + aside)
        centres[largest] *= 1.0 - aside
        left[empty], left[largest] = left[largest] // 2, left[largest] - left[largest] // 2
    return centres
