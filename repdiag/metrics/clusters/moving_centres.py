"""Lloyd's iterations of one large k-means: after each, only distances from centres that moved are found again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.lloyd import Assignments, means
from repdiag.metrics.clusters.spread_starts import RowArray

Search = Callable[[RowArray, RowArray], tuple[NDArray[np.float32], Assignments]]

TOLERANCE = 1e-4  # an iteration that lowers the objective by a smaller share is the last
_MOSTLY = 0.7  # from this share of moving centres on, one search of all of them costs less than two parts


@dataclass(frozen=True, kw_only=True, eq=False)
class Solution:
    """Centres [K, D], the nearest of them for every row [N], and its squared distance [N]."""

    centres: RowArray
    assigned: Assignments
    squared: NDArray[np.float32]


def settled(
    rows: RowArray, start: RowArray, *, iterations: int, tolerance: float = TOLERANCE, gpu: bool = False
) -> Solution:
    """Return what Lloyd's iterations make of the start [K, D]: at most so many, fewer where they change nothing more.

    Every iteration finds what a search of all centres would find. A row whose own centre came no farther has no centre
    that stood still nearer than that; it is compared with the centres that moved (Kaukoranta, Franti and
    Nevalainen 2000).
    """
    centres = np.array(start, dtype=np.float32)
    search = partial(_search, gpu=gpu)
    found = _nearest(rows, centres, search)
    for _ in range(iterations):
        after = means(_sums(rows, found.assigned, len(centres)), np.bincount(found.assigned, minlength=len(centres)))
        moved = (after != centres).any(axis=1)
        if not moved.any():
            break
        before = float(found.squared.sum(dtype=np.float64))
        found = _again(rows, after, (found, moved), search)
        centres = after
        if before - float(found.squared.sum(dtype=np.float64)) < tolerance * before:
            break
    return found


def _nearest(rows: RowArray, centres: RowArray, search: Search) -> Solution:
    squared, assigned = search(rows, centres)
    return Solution(centres=centres, assigned=assigned, squared=squared)


def _search(rows: RowArray, centres: RowArray, *, gpu: bool) -> tuple[NDArray[np.float32], Assignments]:
    import faiss

    if gpu:
        squared, assigned = faiss.knn_gpu(faiss.StandardGpuResources(), rows, centres, 1)
    else:
        squared, assigned = faiss.knn(rows, centres, 1)
    return squared[:, 0], assigned[:, 0].astype(np.int64)


def _again(rows: RowArray, centres: RowArray, before: tuple[Solution, NDArray[np.bool_]], search: Search) -> Solution:
    """Return the nearest of the centres after a move, where the nearest before are known, and which centres moved."""
    known, moved = before
    if moved.mean() > _MOSTLY:
        return _nearest(rows, centres, search)
    squared, assigned = known.squared.copy(), known.assigned.copy()
    own = np.flatnonzero(moved[assigned])
    apart = rows[own] - centres[assigned[own]]
    squared[own] = np.einsum("ij,ij->i", apart, apart)
    farther = np.zeros(len(rows), dtype=bool)
    farther[own] = squared[own] > known.squared[own]
    anew, rest = np.flatnonzero(farther), np.flatnonzero(~farther)
    if len(anew):
        squared[anew], assigned[anew] = search(rows[anew], centres)
    if len(rest):
        numbers = np.flatnonzero(moved)
        there, place = search(rows[rest], centres[numbers])
        nearer = there < squared[rest]
        squared[rest[nearer]], assigned[rest[nearer]] = there[nearer], numbers[place[nearer]]
    return Solution(centres=centres, assigned=assigned, squared=squared)


def _sums(rows: RowArray, assigned: Assignments, clusters: int) -> NDArray[np.float64]:
    from scipy.sparse import csc_array

    ones = np.ones(len(rows), dtype=np.float32)
    found: NDArray[np.float64] = (
        csc_array((ones, assigned, np.arange(len(rows) + 1)), shape=(clusters, len(rows))) @ rows
    ).astype(np.float64)
    return found
