"""Metrics over all pairs, as a multiple of the symmetric matrix product that they need (N^2 D operations).

python -m benchmarks.pairwise            N = 50,000, D = 512; about three minutes on one core
python -m benchmarks.pairwise --quick    N = 10,000

One thread, processor time, a probe of the matrix product before and after every line, all in this run.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor

from benchmarks.probe import Measured, measure, peak_memory_mib
from repdiag.metrics.pairwise import PositiveRank, PotentialSum, TopK, euclidean_neighbors, reduce_pairs, unit_rows
from repdiag.metrics.pairwise.reduction import Reduction


def clustered_rows(rows: int, dims: int) -> tuple[Tensor, Tensor]:
    """Return rows around 100 centres and a noisy view of each: neither uniform nor easy."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(100, dims, generator=generator)
    features = centres[torch.randint(0, 100, (rows,), generator=generator)]
    features = features + torch.randn(rows, dims, generator=generator)
    return features, features + 0.8 * torch.randn(rows, dims, generator=generator)


def official_uniformity(features: Tensor) -> Tensor:
    """The public form (SsnL/align_uniform): all distances at once."""
    unit = torch.nn.functional.normalize(features, dim=1)
    return torch.pdist(unit).pow(2).mul(-2).exp().mean().log()


def main() -> None:
    """Print one line a pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--dims", type=int, default=512)
    options = parser.parse_args()
    rows = options.rows or (10_000 if options.quick else 50_000)
    torch.set_num_threads(1)

    features, views = clustered_rows(rows, options.dims)
    unit, unit_views = unit_rows(features), unit_rows(views)
    euclidean = euclidean_neighbors(features, 2)
    assert euclidean is not None  # these rows lie around the origin
    two_nearest = euclidean[1]
    before = peak_memory_mib()
    passes: dict[str, tuple[Reduction[Any], ...]] = {
        "uniformity": (PotentialSum(2.0),),
        "instance discrimination, top-1..5": (PositiveRank(unit_views, 5),),
        "10 nearest neighbours": (TopK(10),),
        "the three in one pass": (PotentialSum(2.0), PositiveRank(unit_views, 5), TopK(10)),
        # TwoNN; the graph of 49 neighbours serves r_precision of classes of 50 rows, hubness and every smaller graph.
        "those, TwoNN, 49 neighbours": (PotentialSum(2.0), PositiveRank(unit_views, 5), TopK(49), two_nearest),
    }
    print(f"N = {rows:,}, D = {options.dims}; 1.0 is one symmetric product, {rows**2 * options.dims / 1e12:.2f} TFLOP")
    for name, reductions in passes.items():
        show(
            name, measure(lambda chosen=reductions: reduce_pairs(unit, *chosen), dims=options.dims), rows, options.dims
        )
    size = rows * options.dims * 4 / 2**20
    print(f"memory above the rows: {peak_memory_mib() - before:.0f} MiB (features: {size:.0f} MiB)")
    small = min(rows, 10_000)
    show(
        f"for comparison: pdist, N = {small:,}",
        measure(lambda: official_uniformity(features[:small]), dims=options.dims),
        small,
        options.dims,
    )


def show(name: str, found: Measured, rows: int, dims: int) -> None:
    ratio = found.over(float(rows) ** 2 * dims)
    print(f"{name:38s} {found.seconds:8.2f} s  {ratio:5.2f} x  (probe {found.flop_rate / 1e9:.0f} GFLOP/s)", flush=True)


if __name__ == "__main__":
    main()
