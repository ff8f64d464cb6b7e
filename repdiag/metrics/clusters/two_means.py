"""2-means of all rows and of all but one fold of them, at once: every product of the rows serves all folds and starts.

Classes have some hundred rows: one by one, the fifty clusterings of a class wait for Python rather than compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.lloyd import aside_of_split
from repdiag.metrics.clusters.spread_starts import RowArray, squared_from

Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]

_STARTS, _ITERATIONS = 3, 20
_CANDIDATES = 2  # rows that the second centre is the best of: 2 + log K of greedy k-means++


@dataclass(frozen=True, kw_only=True, eq=False)
class Lots:
    """What one start is drawn by: the number of its first centre, and places in [0, 1) of the rows for its second."""

    first: int
    second: Numbers


def drawn_lots(generator: np.random.Generator, rows: int) -> list[Lots]:
    """Draw the starts of one set of so many rows."""
    return [
        Lots(first=int(generator.integers(rows)), second=generator.random((1, _CANDIDATES))[0]) for _ in range(_STARTS)
    ]


def second_clusters(rows: RowArray, inside: Flags, lots: Sequence[Sequence[Lots]]) -> Flags:
    """Return which rows [N, D] of each set lie in the second of its two clusters [P, N].

    `inside` [P, N] says which rows each set has, `lots` what its starts are drawn by. The start whose sum of squared
    distances ends lowest wins.
    """
    mask = np.repeat(inside, _STARTS, axis=0)
    counts = mask.sum(axis=1)
    total = mask.astype(np.float32) @ rows
    one, two = _starts(rows, inside, lots)
    second = np.zeros_like(mask)
    sums = number = None
    for turn in range(_ITERATIONS):
        middle = (np.einsum("pd,pd->p", two, two) - np.einsum("pd,pd->p", one, one)) / 2.0
        found = ((two - one) @ rows.T > middle[:, None]) & mask
        if turn > 0 and bool((found == second).all()):
            break
        second, number = found, found.sum(axis=1)
        sums = found.astype(np.float32) @ rows
        one, two = _means(total - sums, counts - number), _means(sums, number)
        _refill(one, two, lost=counts == number)
        _refill(two, one, lost=number == 0)
    assert sums is not None
    assert number is not None
    explained = _explained(total - sums, counts - number) + _explained(sums, number)
    best = explained.reshape(len(inside), _STARTS).argmax(axis=1)
    chosen: Flags = second[np.arange(len(inside)) * _STARTS + best]
    return chosen


def _starts(rows: RowArray, inside: Flags, lots: Sequence[Sequence[Lots]]) -> tuple[RowArray, RowArray]:
    """Return the first and the second centre of every start [P x starts, D], by greedy k-means++."""
    mask = np.repeat(inside, _STARTS, axis=0)
    squares = np.einsum("ij,ij->i", rows, rows)
    places = [np.flatnonzero(each) for each in inside]
    first = np.array([place[lot.first] for place, drawn in zip(places, lots, strict=True) for lot in drawn])
    nearest = np.where(mask, squared_from(rows, squares, first), np.float32(0.0))
    reach = np.cumsum(nearest, axis=1, dtype=np.float64)
    wanted = np.array([lot.second for drawn in lots for lot in drawn]) * reach[:, -1:]
    drawn_rows = np.array([np.searchsorted(up_to, lot) for up_to, lot in zip(reach, wanted, strict=True)])
    drawn_rows = drawn_rows.clip(max=len(rows) - 1)
    left = squared_from(rows, squares, drawn_rows.ravel()).reshape(len(mask), _CANDIDATES, len(rows))
    # Rows outside have a distance of zero already.
    best = np.minimum(left, nearest[:, None]).sum(axis=2).argmin(axis=1)
    return rows[first], rows[drawn_rows[np.arange(len(mask)), best]]


def _means(sums: RowArray, counts: NDArray[np.int64]) -> RowArray:
    means: RowArray = (sums / np.maximum(counts, 1)[:, None]).astype(np.float32)
    return means


def _refill(empty: RowArray, whole: RowArray, *, lost: Flags) -> None:
    """Put a centre without rows beside the other one, in place."""
    if lost.any():
        aside = aside_of_split(empty.shape[1])
        empty[lost] = whole[lost] * (1.0 + aside)
        whole[lost] *= 1.0 - aside


def _explained(sums: RowArray, counts: NDArray[np.int64]) -> Numbers:
    """Return by how much each cluster lowers the sum of squares: its number times the square of its mean."""
    explained: Numbers = np.square(sums, dtype=np.float64).sum(axis=1) / np.maximum(counts, 1)
    return explained
