"""Where k-means starts: greedy k-means++, which finds every one of well-separated islands far more often."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RowArray = NDArray[np.float32]


def spread_starts(rows: RowArray, clusters: int, generator: np.random.Generator, *, starts: int) -> RowArray:
    """Return `starts` times `clusters` of the rows as first centres [R, K, D] (Arthur & Vassilvitskii 2007, greedy).

    Each centre is the best of 2 + log K rows drawn with probability proportional to the squared distance from the
    centres so far. A single draw leaves a tenth of equal islands without a centre; then the over-cluster curve peaks
    late. All starts take their next centre at once: the rows are read once for all of them.
    """
    candidates = 2 + int(math.log(clusters))
    lots = [(int(generator.integers(len(rows))), generator.random((clusters - 1, candidates))) for _ in range(starts)]
    squares = np.einsum("ij,ij->i", rows, rows)
    chosen = np.empty((starts, clusters), dtype=np.int64)
    chosen[:, 0] = [first for first, _ in lots]
    nearest = squared_from(rows, squares, chosen[:, 0])
    drawn = np.empty((starts, candidates), dtype=np.int64)
    for place in range(1, clusters):
        for start, (_, lot) in enumerate(lots):
            reach = np.cumsum(nearest[start], dtype=np.float64)
            drawn[start] = np.searchsorted(reach, lot[place - 1] * reach[-1]).clip(max=len(rows) - 1)
        left = squared_from(rows, squares, drawn.ravel()).reshape(starts, candidates, len(rows))
        for start in range(starts):
            np.minimum(left[start], nearest[start], out=left[start])
            best = int(left[start].sum(axis=1).argmin())
            nearest[start] = left[start, best]
            chosen[start, place] = drawn[start, best]
    return np.ascontiguousarray(rows[chosen])


def squared_from(rows: RowArray, squares: RowArray, picked: NDArray[np.int64]) -> RowArray:
    """Return the squared distances of every row from the picked ones [picked, N]; `squares` are those of the rows."""
    distances: RowArray = rows[picked] @ rows.T
    distances *= -2.0
    distances += squares
    distances += squares[picked][:, None]
    return distances.clip(min=0.0, out=distances)
