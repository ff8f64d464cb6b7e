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
from repdiag.metrics.pairwise.part_rows import current_part
from repdiag.metrics.pairwise.processes import dealt, shared
from repdiag.metrics.pairwise.sharing import memoised, outermost, recall, remember, tensor_key

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
    settings: Any = {"clusters": clusters, "seed": seed, "restarts": restarts, "iterations": iterations}
    part = current_part()
    if part is None or not _is_large(features, clusters):
        key = ("kmeans", tensor_key(features), clusters, seed, restarts, iterations)
        return memoised(key, lambda: _assignments(features, **settings), keep=features)
    key = ("kmeans_of_part", part.name, clusters, seed, restarts, iterations)
    known = recall(key)
    if known is None:
        known = _assignments(features, **settings).astype(np.int32)
        with outermost():
            remember(key, known, keep=part.whole)
    return np.asarray(known, dtype=np.int64)


def runs(features: Features, clusters: int, *, seeds: Sequence[int], restarts: int) -> list[NDArray[np.int64]]:
    """Return the assignments for each seed; processes that share the work find them for some seeds each."""
    if shared():
        settings = {"restarts": restarts, "iterations": ITERATIONS}
        key = ("kmeans_runs", tensor_key(features), clusters, tuple(seeds), restarts)
        memoised(key, lambda: _dealt_runs(features, clusters, seeds, **settings), keep=features)
    return [assignments(features, clusters, seed=seed, restarts=restarts) for seed in seeds]


def _dealt_runs(features: Tensor, clusters: int, seeds: Sequence[int], *, restarts: int, iterations: int) -> bool:
    """Find the clusterings of all seeds, each by one process, and let all know them; say that it is done."""

    def one(place: int) -> NDArray[np.int64]:
        return assignments(features, clusters, seed=seeds[place], restarts=restarts, iterations=iterations)

    for seed, found in zip(seeds, dealt(one, len(seeds), what="clusterings"), strict=True):
        remember(("kmeans", tensor_key(features), clusters, seed, restarts, iterations), found, keep=features)
    return True


def _assignments(features: Tensor, clusters: int, *, seed: int, restarts: int, iterations: int) -> NDArray[np.int64]:
    if _is_large(features, clusters):
        return _best(features, clusters, seed=seed, restarts=restarts, iterations=iterations).assigned
    rows = _rows(features)
    with _threads_for(rows.size * clusters):
        starts = spread_starts(rows, clusters, np.random.default_rng([seed, clusters]), starts=restarts)
        return best_of(rows, starts, iterations=iterations)


def _is_large(features: Tensor, clusters: int) -> bool:
    return features.numel() * clusters > _LARGE


def _best(features: Tensor, clusters: int, *, seed: int, restarts: int, iterations: int) -> Solution:
    """Return the best of the starts of a large problem."""
    rows, ends = _rows(features), []
    for place in range(restarts if clusters <= RESTARTED else 1):
        key = ("kmeans_start", tensor_key(features), seed, place)
        with _threads_for(rows.size * clusters):
            start = memoised(key, partial(SharedStart, rows, seed=(seed, place)), keep=features)
            first = start.first(clusters)
        ends.append(_from(features, first, iterations=iterations))
    return min(ends, key=lambda end: float(end.squared.sum(dtype=np.float64)))


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
