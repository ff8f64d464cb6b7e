"""Nearest neighbours with votes for every odd k, beside faiss, as multiples of the matrix product that both need.

python -m benchmarks.neighbors           5,000 queries, 45,000 bank rows, D = 512, k to 101; a minute on one core
python -m benchmarks.neighbors --quick   a tenth of the queries

One thread, processor time, a probe of the matrix product before and after every line; the median of three lines each,
ours and theirs in turn, all in this run.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.pairwise import clustered_rows
from benchmarks.probe import measure
from repdiag.metrics.neighbors.votes import winners
from repdiag.metrics.pairwise import Rows, TopK, over_cross, raw_rows, unit_rows

DIMS, K, CLASSES, ROUNDS = 512, 101, 100, 3


def votes_for_every_k(queries: Rows, bank: Rows, labels: Tensor) -> list[Tensor]:
    """The classes that win among the 1, 3, .., K nearest rows of the bank."""
    nearest = over_cross(queries, bank, TopK(K))
    return [winner for _, _, winner in winners(labels[nearest.index], classes=CLASSES, at=range(1, K + 1, 2))]


def main() -> None:
    """Print one line for each geometry, by us and by faiss."""
    import faiss

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    count = 500 if parser.parse_args().quick else 5_000
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)

    features, _ = clustered_rows(50_000, DIMS)
    queries, bank = features[:count], features[5_000:]
    labels = torch.randint(0, CLASSES, (len(bank),), generator=torch.Generator().manual_seed(1))
    work = 2.0 * len(queries) * len(bank) * DIMS
    print(f"{len(queries):,} queries, {len(bank):,} rows, D = {DIMS}, k = {K}; 1.0 is their matrix product")
    near = raw_rows(bank)
    geometries: tuple[tuple[str, Rows, Rows, Any], ...] = (
        ("cosine", unit_rows(queries), unit_rows(bank), faiss.IndexFlatIP(DIMS)),
        ("Euclidean", raw_rows(queries, like=near), near, faiss.IndexFlatL2(DIMS)),
    )
    for name, left, right, index in geometries:
        index.add(right.fast.numpy())
        rivals: dict[str, Callable[[], Any]] = {
            "votes for every odd k, exact order": lambda a=left, b=right: votes_for_every_k(a, b, labels),
            "faiss, no votes": lambda a=left, i=index: i.search(a.fast.numpy(), K),
        }
        found: dict[str, list[float]] = {rival: [] for rival in rivals}
        for _ in range(ROUNDS):
            for rival, run in rivals.items():
                found[rival].append(measure(run, dims=DIMS).over(work))
        for rival, ratios in found.items():
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"{name:10s} {rival:36s} {median(ratios):5.2f} x  ({spread})", flush=True)


if __name__ == "__main__":
    main()
