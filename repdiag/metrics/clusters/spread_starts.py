"""Where k-means starts: greedy k-means++, which finds every one of well-separated islands far more often."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


def spread_starts(rows: Rows, clusters: int, generator: np.random.Generator) -> Rows:
    """Return `clusters` of the rows as first centres (Arthur & Vassilvitskii 2007, with greedy choice).

    Each centre is the best of 2 + log K rows drawn with probability proportional to the squared distance from the
    centres so far. A single draw leaves a tenth of equal islands without a centre; then the over-cluster curve peaks
    late.
    """
    candidates = 2 + int(math.log(clusters))
    squares = np.einsum("ij,ij->i", rows, rows)
    chosen = [int(generator.integers(len(rows)))]
    nearest = _squared(rows, squares, chosen)[0]
    while len(chosen) < clusters:
        reach = np.cumsum(nearest, dtype=np.float64)
        drawn = np.searchsorted(reach, generator.random(candidates) * reach[-1]).clip(max=len(rows) - 1)
        left = np.minimum(_squared(rows, squares, drawn), nearest)
        best = int(left.sum(axis=1).argmin())
        nearest = left[best]
        chosen.append(int(drawn[best]))
    return np.ascontiguousarray(rows[chosen])


def _squared(rows: Rows, squares: Rows, picked: NDArray[np.int64] | list[int]) -> Rows:
    """Return the squared distances of every row from the picked ones [picked, N]."""
    distances: Rows = squares + squares[picked][:, None] - 2.0 * (rows[picked] @ rows.T)
    return distances.clip(min=0.0)
