"""Metrics from first and second moments: class distances, RankMe, linear CKA.

python -m benchmarks.moments            N = 50,000, D = 512, 100 classes; about a minute on one core
python -m benchmarks.moments --quick    N = 10,000

Class distances are multiples of one read of the features and of the loops over pairs that they replace; spectra and CKA
are multiples of the float32 products that they need (2 N D^2 operations, three of them for CKA). One thread, processor
time, probes beside every line.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from benchmarks.pairwise import clustered_rows
from benchmarks.probe import measure
from repdiag.metrics import inter_class_distance, intra_class_distance, linear_cka, rankme

DIMS, CLASSES, ROUNDS = 512, 100, 5
INTER_PAIRS = 10  # of the 4,950 pairs of classes that the loop would visit


def seconds(run: Callable[[], Any]) -> float:
    """Return the median processor time of some runs."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return median(found)


def intra_by_pdist(unit: Tensor, labels: Tensor) -> Tensor:
    """The published form (ssl-small): all distances of each class."""
    return torch.stack([torch.pdist(unit[labels == label]).square().mean() for label in range(CLASSES)]).mean()


def inter_by_cdist(unit: Tensor, labels: Tensor) -> float:
    """The time of the loop over all pairs of classes, from a few of them."""
    start = time.process_time()
    for other in range(1, INTER_PAIRS + 1):
        torch.cdist(unit[labels == 0], unit[labels == other]).square().mean()
    return (time.process_time() - start) * CLASSES * (CLASSES - 1) / 2 / INTER_PAIRS


def class_distances(features: Tensor) -> None:
    """Print both distances against one read and against the loops."""
    labels = torch.randint(0, CLASSES, (len(features),), generator=torch.Generator().manual_seed(2))
    unit = torch.nn.functional.normalize(features, dim=1)
    read = seconds(features.sum)
    loops = {intra_class_distance: seconds(lambda: intra_by_pdist(unit, labels)), inter_class_distance: 0.0}
    loops[inter_class_distance] = inter_by_cdist(unit, labels)
    for metric, loop in loops.items():
        ours = seconds(lambda metric=metric: metric(features, labels))
        exact = float(metric(features.double(), labels))
        error = abs(float(metric(features, labels)) - exact) / exact
        print(
            f"{metric.__name__:22s} {ours * 1e3:7.1f} ms  {ours / read:5.1f} x a read, "
            f"{loop / ours:6.0f} x faster than the loop, error {error:.0e}",
            flush=True,
        )


def products(features: Tensor, other: Tensor) -> None:
    """Print RankMe and linear CKA against their products, with the error against float64 input."""
    product = 2.0 * len(features) * DIMS * DIMS
    runs: tuple[tuple[str, float, Callable[[Tensor, Tensor], Any]], ...] = (
        ("rankme", product, lambda rows, _: rankme(rows)),
        ("linear_cka", 3 * product, lambda rows, second: linear_cka(rows, other_features=second)),
    )
    for name, work, run in runs:
        exact = float(run(features.double(), other.double()))
        found = [measure(lambda run=run: run(features, other), dims=DIMS) for _ in range(ROUNDS)]
        ratios = sorted(item.over(work) for item in found)
        error = abs(float(found[0].result) - exact) / exact
        print(
            f"{name:22s} {median(ratios):5.2f} x its products ({ratios[0]:.2f} to {ratios[-1]:.2f}), error {error:.0e}",
            flush=True,
        )


def main() -> None:
    """Print one line a metric."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    rows = 10_000 if parser.parse_args().quick else 50_000
    torch.set_num_threads(1)
    threadpool_limits(1)
    features, views = clustered_rows(rows, DIMS)
    print(f"N = {rows:,}, D = {DIMS}, {CLASSES} classes in no order")
    class_distances(features)
    products(features, views)


if __name__ == "__main__":
    main()
