"""k-means on unit rows: seeded, restarted, run once for all metrics that read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.shapes import Features
from repdiag.metrics.algebra.blas_threads import blas_threads
from repdiag.metrics.clusters.lloyd import best_of
from repdiag.metrics.clusters.moving_centres import Solution, settled
from repdiag.metrics.clusters.shared_starts import SharedStart
from repdiag.metrics.clusters.spread_starts import RowArray, spread_starts
from repdiag.metrics.pairwise import unit_rows
from repdiag.metrics.pairwise.processes import dealt, shared
from repdiag.metrics.pairwise.sharing import isolated, memoised, outermost, remember, tensor_key
from repdiag.metrics.pairwise.whole_rows import Whole, part_name, whole_of

ITERATIONS = 25
SEEDS = 3  # independent runs whose spread is reported
RESTARTS = 2  # starts of each run; the one with the lowest objective is kept
RESTARTED = 500  # clusters; beyond, the objectives of two starts differ by some .2 %
_LARGE = 2**25  # products of one assignment step, about .5 ms of one core
_PARALLEL = 2**30  # below, threads only wait for one another


def assignments(
    features: Features, clusters: int, *, seed: int = 0, restarts: int = RESTARTS, iterations: int = ITERATIONS
) -> NDArray[np.int64]:
    """Return the cluster number of every row [N]: Euclidean k-means on the rows divided by their norm.

    All rows take part (nothing is subsampled), empty clusters are refilled by splitting a large one, and the start with
    the lowest objective wins. All starts are by greedy k-means++. Small problems have a start of their own for each
    number of clusters and run all iterations; large ones share one between all numbers (`SharedStart`), end with the
    iteration that lowers the objective by less than a ten-thousandth, and have a single start beyond 500 clusters. The
    same rows, settings and machine give the same assignments; inside a `sharing` block they are computed once.
    """
    whole = whole_of(features)
    if whole is not None and _is_large(whole.features, clusters):
        settings = {"restarts": restarts, "iterations": iterations}
        return _of_part(features, whole, clusters=clusters, seed=whole.first_seed + seed % whole.seeds, **settings)
    return memoised(
        ("kmeans", tensor_key(features), clusters, seed, restarts, iterations),
        lambda: _assignments(features, clusters, seed=seed, restarts=restarts, iterations=iterations),
        keep=features,
    )


def runs(features: Features, clusters: int, *, seeds: Sequence[int], restarts: int) -> list[NDArray[np.int64]]:
    """Return the assignments for each seed; processes that share the work find them for some seeds each."""
    if shared():
        settings = {"restarts": restarts, "iterations": ITERATIONS}
        key = ("kmeans_runs", tensor_key(features), clusters, tuple(seeds), restarts)
        memoised(key, lambda: _dealt_runs(features, clusters, seeds, **settings), keep=features)
    return [assignments(features, clusters, seed=seed, restarts=restarts) for seed in seeds]


def _dealt_runs(features: Tensor, clusters: int, seeds: Sequence[int], *, restarts: int, iterations: int) -> bool:
    """Find the clusterings of all seeds, each by one process, and let all know them; say that it is done."""
    settings = {"restarts": restarts, "iterations": iterations}
    large = _is_large(features, clusters)
    find: Any = _solution if large else assignments
    found = dealt(lambda place: find(features, clusters, seed=seeds[place], **settings), len(seeds), what="clusterings")
    for seed, solution in zip(seeds, found, strict=True):
        key = ("kmeans_solution" if large else "kmeans", tensor_key(features), clusters, seed, restarts, iterations)
        remember(key, solution, keep=features)
    return True


def _assignments(features: Tensor, clusters: int, *, seed: int, restarts: int, iterations: int) -> NDArray[np.int64]:
    if _is_large(features, clusters):
        return _solution(features, clusters, seed=seed, restarts=restarts, iterations=iterations).assigned
    rows = _rows(features)
    with _threads_for(rows.size * clusters):
        starts = spread_starts(rows, clusters, np.random.default_rng([seed, clusters]), starts=restarts)
        return best_of(rows, starts, iterations=iterations)


def _of_part(
    features: Tensor, whole: Whole, *, clusters: int, seed: int, restarts: int, iterations: int
) -> NDArray[np.int64]:
    """Return the assignments of a part of the rows, from the centres of all; remembered longer than the part is."""

    def found() -> NDArray[np.int32]:
        known = _solution(whole.features, clusters, seed=seed, restarts=restarts, iterations=iterations)
        with isolated():
            return _from(features, known.centres, iterations=iterations).assigned.astype(np.int32)

    name = part_name() or tensor_key(features)
    with outermost():
        key = ("kmeans_of_part", tensor_key(whole.features), name, clusters, seed, restarts, iterations)
        return memoised(key, found, keep=whole.features if part_name() else features).astype(np.int64)


def _is_large(features: Tensor, clusters: int) -> bool:
    return features.numel() * clusters > _LARGE


def _solution(features: Tensor, clusters: int, *, seed: int, restarts: int, iterations: int) -> Solution:
    """Return the best of the starts of a large problem, with its centres."""

    def found() -> Solution:
        rows = _rows(features)
        number = restarts if clusters <= RESTARTED else 1
        ends = []
        for place in range(number):
            key = ("kmeans_start", tensor_key(features), seed, place)
            with _threads_for(rows.size * clusters):
                start = memoised(key, partial(SharedStart, rows, seed=(seed, place)), keep=features)
                first = start.first(clusters)
            ends.append(_from(features, first, iterations=iterations))
        return min(ends, key=lambda end: float(end.squared.sum(dtype=np.float64)))

    key = ("kmeans_solution", tensor_key(features), clusters, seed, restarts, iterations)
    return memoised(key, found, keep=features)


def _from(features: Tensor, start: RowArray, *, iterations: int) -> Solution:
    import faiss

    rows = _rows(features)
    gpu = features.is_cuda and faiss.get_num_gpus() > 0
    with _threads_for(rows.size * len(start)):
        return settled(rows, start, iterations=iterations, gpu=gpu)


def _rows(features: Tensor) -> RowArray:
    return memoised(("kmeans_rows", tensor_key(features)), lambda: _float32_unit_rows(features), keep=features)


@contextmanager
def _threads_for(products: int) -> Iterator[None]:
    """Run small problems on one thread: on a busy machine threads wait for one another longer than they work."""
    import faiss

    if products > _PARALLEL:
        yield
        return
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        with blas_threads(1):
            yield
    finally:
        faiss.omp_set_num_threads(before)


def _float32_unit_rows(features: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(unit_rows(features).fast.to(torch.float32).cpu().numpy())
