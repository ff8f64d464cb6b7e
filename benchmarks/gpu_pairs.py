"""Metrics over all pairs and from moments on one GPU, as a share of the products that this GPU reaches in the same run.

python -m benchmarks.gpu_pairs                              N = 50,000, D = 512
python -m benchmarks.gpu_pairs --rows 1281167 --dims 2048   the train set of ImageNet; half a minute in TF32

The limit of a pass over the pairs of one set is N^2 D operations, half of the full product.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu_probe import copy_rate, product_rate, seconds
from repdiag.metrics import intra_class_distance, linear_cka, rankme
from repdiag.metrics.pairwise import PositiveRank, PotentialSum, TopK, euclidean_neighbors, reduce_cross, reduce_pairs
from repdiag.metrics.pairwise import unit_rows as rows_on_sphere
from repdiag.metrics.pairwise.reduction import Reduction

NAMES = {"highest": "float32", "high": "TF32", "medium": "bfloat16"}
QUERIES, K = 50_000, 20


def clustered(rows: int, dims: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows around 100 centres, a noisy view of each, and the centres' numbers."""
    generator = torch.Generator("cuda").manual_seed(0)
    draw = {"generator": generator, "device": "cuda"}
    centres = torch.randn(100, dims, **draw)  # type: ignore[arg-type]
    labels = torch.randint(0, 100, (rows,), **draw)  # type: ignore[arg-type]
    features = torch.randn(rows, dims, **draw).add_(centres[labels])  # type: ignore[arg-type]
    return features, torch.randn(rows, dims, **draw).mul_(0.8).add_(features), labels  # type: ignore[arg-type]


def pairs(features: Tensor, views: Tensor, precisions: list[str], *, family: bool) -> None:
    """Print one line a pass and precision, and what precision does to the values."""
    rows, dims = features.shape
    unit, unit_views = rows_on_sphere(features), rows_on_sphere(views)
    passes: dict[str, tuple[Reduction[Any], ...]] = {
        "uniformity": (PotentialSum(2.0),),
        "instance discrimination": (PositiveRank(unit_views, 5),),
        "both in one pass": (PotentialSum(2.0), PositiveRank(unit_views, 5)),
    }
    if family:
        euclidean = euclidean_neighbors(features, 2)
        assert euclidean is not None
        passes["10 nearest neighbours"] = (TopK(10),)
        passes["the family"] = (PotentialSum(2.0), PositiveRank(unit_views, 5), TopK(49), euclidean[1])
    searches = {"10 nearest neighbours", "the family"}  # in float32 whatever is set
    exact: dict[str, Any] = {}
    for precision in precisions:
        torch.set_float32_matmul_precision(precision)
        rate = product_rate(precision, dims)
        print(f"{NAMES[precision]}: product with float32 results {rate / 1e12:.0f} TFLOP/s", flush=True)
        for name, reductions in passes.items():
            if (not family and name != "both in one pass") or (name in searches and precision != "highest"):
                continue
            found: list[Any] = []
            taken = seconds(lambda chosen=reductions, to=found: to.extend(reduce_pairs(unit, *chosen)), rounds=1)
            print(f"  {name:26s} {taken:8.3f} s  {taken * rate / (float(rows) ** 2 * dims):5.2f} x", flush=True)
            if "uniformity" in name or "both" in name:
                value = float((found[0].sum() / (rows * (rows - 1.0))).log())
                print(f"    uniformity {value:.9f}, {value - exact.setdefault('value', value):+.1e}")
            if "both" in name:
                first = exact.setdefault("ranks", found[1].ahead)
                print(f"    ranks that differ: {int((first != found[1].ahead).sum())}")
    torch.set_float32_matmul_precision("highest")


def neighbours(features: Tensor, views: Tensor) -> None:
    """Print the search of the k nearest rows of other images."""
    count = min(QUERIES, len(features) // 5)
    queries, bank = rows_on_sphere(views[:count]), rows_on_sphere(features)
    limit = 2.0 * count * len(features) * features.shape[1]
    rate = product_rate("highest", features.shape[1])
    taken = seconds(lambda: reduce_cross(queries, bank, TopK(K)), rounds=1)
    print(f"{K} nearest of {count:,} queries, float32: {taken:.3f} s, {taken * rate / limit:.2f} x")


def moments(features: Tensor, views: Tensor, labels: Tensor) -> None:
    """Print metrics of D x D products in float64 beside one reading of the rows."""
    read = features.nbytes / copy_rate()
    for name, run in {
        "rankme": lambda: rankme(features),
        "linear_cka": lambda: linear_cka(features, other_features=views),
        "intra_class_distance": lambda: intra_class_distance(features, labels=labels),
    }.items():
        taken = seconds(run, rounds=3)
        print(f"{name:26s} {taken:8.3f} s  {taken / read:8.1f} x the time in which the copy rate reads the rows")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dims", type=int, default=512)
    parser.add_argument("--precisions", nargs="+", default=list(NAMES), choices=list(NAMES))
    parser.add_argument("--no-family", action="store_true", help="uniformity and instance discrimination alone")
    args = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, N = {args.rows:,}, D = {args.dims}, torch {torch.__version__}")
    features, views, labels = clustered(args.rows, args.dims)
    reserved = torch.cuda.memory_allocated()
    pairs(features, views, args.precisions, family=not args.no_family)
    print(f"memory above rows and views: {(torch.cuda.max_memory_allocated() - reserved) / 2**30:.1f} GiB")
    neighbours(features, views)
    moments(features, views, labels)


if __name__ == "__main__":
    main()
