"""One greedy k-means++ of the rows that every number of clusters starts from: K of them take its first K centres."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.spread_starts import RowArray

MOST_CANDIDATES = 6  # more lower the objective by less than a thousandth
_MOST_AT_ONCE = 32  # new centres whose candidates are drawn, and measured, at once


class SharedStart:
    """The first centres of greedy k-means++ on rows [N, D], as many as were asked for so far.

    Each centre is the best of some rows drawn with probability proportional to the squared distance from the centres so
    far (`spread_starts`). From 32 centres on the rows of several centres are drawn together, at most one for 16 that
    there are, and taken one after the other: the first K are the same however many are asked for, and in what order.
    """

    def __init__(self, rows: RowArray, *, seed: Sequence[int]) -> None:
        self._rows = rows
        self._generator = np.random.default_rng(list(seed))
        self._squares = np.einsum("ij,ij->i", rows, rows)
        first = np.array([int(self._generator.integers(len(rows)))])
        self._chosen = first.tolist()
        self._nearest = self._away(first)[0]

    def first(self, clusters: int) -> RowArray:
        """Return the first centres [K, D]."""
        while len(self._chosen) < clusters:
            self._take(max(1, min(_MOST_AT_ONCE, len(self._chosen) // 16)))
        found: RowArray = self._rows[self._chosen[:clusters]]
        return found

    def _take(self, count: int) -> None:
        candidates = min(MOST_CANDIDATES, 2 + int(math.log(len(self._chosen))))
        reach = np.cumsum(self._nearest, dtype=np.float64)
        lots = self._generator.random((count, candidates)) * reach[-1]
        drawn = np.searchsorted(reach, lots.ravel()).clip(max=len(self._rows) - 1)
        away = self._away(drawn)
        for place in range(count):
            mine = away[place * candidates : (place + 1) * candidates]
            np.minimum(mine, self._nearest, out=mine)
            best = int(mine.sum(axis=1).argmin())
            self._nearest = mine[best].copy()
            self._chosen.append(int(drawn[place * candidates + best]))

    def _away(self, picked: NDArray[np.int64]) -> RowArray:
        """Return the squared distances of every row from the picked ones [picked, N]."""
        away: RowArray = self._rows[picked] @ self._rows.T
        away *= -2.0
        away += self._squares
        away += self._squares[picked][:, None]
        return np.maximum(away, 0.0, out=away)
