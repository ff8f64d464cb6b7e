"""k-means with several starts: what they cost beside one start, and beside faiss's own restarts at equal objective.

python -m benchmarks.kmeans              N = 50,000, D = 512, K = 10 and 100; about two minutes on one core
python -m benchmarks.kmeans --clusters 1000
python -m benchmarks.kmeans --quick      N = 10,000

One thread, processor time, all in this run. 1.0 is the matrix product of every assignment step of one start.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.pairwise import clustered_rows
from benchmarks.probe import measure
from repdiag.metrics.clusters.kmeans import ITERATIONS, assignments
from repdiag.metrics.pairwise import unit_rows
from repdiag.metrics.pairwise.sharing import sharing

DIMS, STARTS = 512, 5


def objective(rows: NDArray[np.float32], found: NDArray[np.int64], clusters: int) -> float:
    """Return the sum of squared distances of the rows from the means of their clusters."""
    sums = np.zeros((clusters, rows.shape[1]))
    np.add.at(sums, found, rows)
    counts = np.bincount(found, minlength=clusters)
    means = sums / np.maximum(counts, 1)[:, None]
    return float(np.square(rows - means[found]).sum())


def by_faiss(rows: NDArray[np.float32], clusters: int, starts: int) -> NDArray[np.int64]:
    """faiss's own restarts: all of them run to the end, and the best is kept."""
    import faiss

    model = faiss.Kmeans(
        rows.shape[1], clusters, niter=ITERATIONS, nredo=starts, seed=1, max_points_per_centroid=len(rows)
    )
    model.cp.early_stop_threshold = 0.0
    model.cp.init_method = faiss.ClusteringInitMethod_KMEANS_PLUS_PLUS
    model.train(rows)
    return np.asarray(model.index.search(rows, 1)[1][:, 0], dtype=np.int64)


def main() -> None:
    """Print one line for each way, with its objective over the lowest of them."""
    import faiss

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--clusters", type=int, nargs="+", default=[10, 100])
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    features, _ = clustered_rows(10_000 if options.quick else 50_000, DIMS)
    rows = np.ascontiguousarray(unit_rows(features).fast.numpy())
    print(f"N = {len(rows):,}, D = {DIMS}, {ITERATIONS} iterations")
    with sharing():
        assignments(features, 2, restarts=1, iterations=1)  # unit rows are prepared once for all metrics
        for clusters in options.clusters:
            compare(features, rows, clusters)


def compare(features: torch.Tensor, rows: NDArray[np.float32], clusters: int) -> None:
    kept: dict[str, NDArray[np.int64]] = {}

    def timed(name: str, run: Callable[[], NDArray[np.int64]]) -> float:
        def keep() -> None:
            kept[name] = run()

        return measure(keep, dims=DIMS).over(2.0 * len(rows) * clusters * DIMS * ITERATIONS)

    ratios = {
        name: timed(name, run)
        for name, run in {
            "one start": lambda: assignments(features, clusters, restarts=1),
            f"{STARTS} starts": lambda: assignments(features, clusters, restarts=STARTS),
            "one start, faiss": lambda: by_faiss(rows, clusters, 1),
            f"{STARTS} starts, faiss": lambda: by_faiss(rows, clusters, STARTS),
        }.items()
    }
    values = {name: objective(rows, found, clusters) for name, found in kept.items()}
    lowest = min(values.values())
    for name, ratio in ratios.items():
        excess = values[name] / lowest - 1.0
        print(f"K = {clusters:<5d} {name:18s} {ratio:6.2f} x   objective {excess:+.3%} of the lowest", flush=True)
    for kind in ("", ", faiss"):
        share = ratios[f"{STARTS} starts{kind}"] / (STARTS * ratios[f"one start{kind}"])
        print(f"K = {clusters:<5d} {STARTS} starts{kind}: {share:.2f} of {STARTS} times one start", flush=True)


if __name__ == "__main__":
    main()
