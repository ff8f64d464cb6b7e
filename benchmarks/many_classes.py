"""What an analysis of vectors of many classes costs, and the over-cluster curve in it beside those of two libraries.

python -m benchmarks.many_classes                 the first three sizes; about eight minutes of one core
python -m benchmarks.many_classes --size 1        one of them (0 to 3); 3 is 200,000 rows of 1,000 classes
python -m benchmarks.many_classes --quick         a fifth of the rows

One thread, processor time, all in this run; the analysis with `quick` beside the whole one. The curve is AMI at
C/4 ... 16 C clusters for one seed, without intervals: by repdiag, by scikit-learn's MiniBatchKMeans with the settings
of its own defaults, and by faiss's k-means (25 iterations from its k-means++), each once for each number of clusters.
`objective` is the sum of squared distances at C clusters over the lowest of the three.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.kmeans import by_faiss, objective
from repdiag.metrics.clusters.agreement import adjusted_mutual_information
from repdiag.metrics.clusters.contingency import contingency
from repdiag.metrics.clusters.curve import cluster_numbers
from repdiag.metrics.clusters.kmeans import assignments
from repdiag.metrics.pairwise.sharing import sharing

Found = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Size:
    """A set of vectors, and the seconds of one core that its analysis may take."""

    rows: int
    dims: int
    classes: int
    target: float


SIZES = (
    Size(rows=10_000, dims=384, classes=100, target=40.0),
    Size(rows=6_000, dims=256, classes=300, target=30.0),
    Size(rows=20_000, dims=256, classes=1_000, target=150.0),
    Size(rows=200_000, dims=256, classes=1_000, target=2_400.0),
)


def drawn(size: Size) -> tuple[NDArray[np.float32], Found]:
    """Return rows of classes that fall into three islands each, with noise of a falling spectrum, and their classes."""
    generator = np.random.default_rng(0)
    spectrum = np.arange(1, size.dims + 1) ** -0.25
    spectrum *= np.sqrt(size.dims / np.square(spectrum).sum())
    centres = generator.standard_normal((size.classes, size.dims))
    islands = 0.5 * generator.standard_normal((size.classes, 3, size.dims))
    labels = np.arange(size.rows) % size.classes
    noise = 1.3 * generator.standard_normal((size.rows, size.dims)) * spectrum
    rows = centres[labels] + islands[labels, generator.integers(3, size=size.rows)] + noise
    return rows.astype(np.float32), labels


def by_mini_batches(rows: NDArray[np.float32], clusters: int) -> Found:
    """scikit-learn's k-means on batches of rows, as it is by default."""
    from sklearn.cluster import MiniBatchKMeans

    return np.asarray(MiniBatchKMeans(clusters, n_init=1, random_state=0).fit(rows).labels_, dtype=np.int64)


def curves(size: Size, features: NDArray[np.float32], labels: Found) -> None:
    """Print what the curve of one seed costs by each of three, and how low its objective is."""
    rows = np.ascontiguousarray(features / np.linalg.norm(features, axis=1, keepdims=True))
    numbers, given = cluster_numbers(size.classes, len(rows)), torch.from_numpy(features)
    ways: dict[str, Callable[[int], Found]] = {
        "repdiag": lambda clusters: assignments(given, clusters),
        "MiniBatchKMeans": lambda clusters: by_mini_batches(rows, clusters),
        "faiss": lambda clusters: by_faiss(rows, clusters, 1),
    }
    seconds, lowest, height = dict[str, float](), dict[str, float](), dict[str, float]()
    for name, way in ways.items():
        begin = time.process_time()
        with sharing():
            found = {clusters: way(clusters) for clusters in numbers}
        scores = [adjusted_mutual_information(contingency(labels, found[clusters])) for clusters in numbers]
        seconds[name] = time.process_time() - begin
        lowest[name] = objective(rows, found[size.classes], size.classes)
        height[name] = max(scores)
    for name in ways:
        excess = lowest[name] / min(lowest.values()) - 1.0
        print(
            f"  one seed's curve, {name:16s} {seconds[name]:7.1f} s, {seconds[name] / seconds['repdiag']:5.2f} of ours"
            f"   objective {excess:+.2%}, AMI up to {height[name]:.3f}",
            flush=True,
        )


def main() -> None:
    """Print the cost of each size."""
    import faiss

    import repdiag

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--size", type=int, choices=range(len(SIZES)))
    parser.add_argument("--no-peers", action="store_true", help="only the whole analysis")
    options = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    for size in SIZES[:3] if options.size is None else [SIZES[options.size]]:
        features, labels = drawn(size)
        if options.quick:
            features, labels = features[: size.rows // 5], labels[: size.rows // 5]
        print(f"{len(features):,} x {size.dims}, {size.classes} classes", flush=True)
        begin = time.process_time()
        found = repdiag.analyze(features, labels=labels)
        took = time.process_time() - begin
        held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"  whole analysis {took:.1f} s (target {size.target:.0f} s), at most {held:.1f} GiB: {found.summary}")
        begin = time.process_time()
        found = repdiag.analyze(features, labels=labels, quick=True)
        quickly = time.process_time() - begin
        print(f"  quick analysis {quickly:.1f} s, {quickly / took:.0%} of the whole: {found.summary}", flush=True)
        if not options.no_peers:
            curves(size, features, labels)


if __name__ == "__main__":
    main()
