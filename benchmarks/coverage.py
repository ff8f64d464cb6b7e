"""Do the intervals hold what they promise? Coverage of nominal 95 % intervals, and errors of the paired tests.

    python benchmarks/coverage.py [--trials 400] [--out docs/uncertainty_table.md]

Each design draws fresh data many times. The truth is the expected value at that number of rows: known where it can be
worked out, otherwise the mean over all trials. A row is good at 93-97 %; what is outside is said to be so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdiag.core.files import write_text
from repdiag.metrics.inference import paired_test, with_interval
from repdiag.metrics.inference.means import mean_estimate, share_interval
from repdiag.metrics.registry import get

Draw = Callable[[int], dict[str, Any]]
CLASSES, PER_CLASS, DIMS = 10, 30, 8


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


LABELS = torch.arange(CLASSES).repeat_interleave(PER_CLASS)
CENTRES = torch.randn(CLASSES, DIMS, generator=generator(0))


def fixed_classes(seed: int) -> dict[str, Any]:
    """The same classes every time, fresh rows of each: what a larger evaluation set of the dataset would give."""
    noise = torch.randn(len(LABELS), DIMS, generator=generator(seed + 1))
    return {"features": CENTRES[LABELS] + noise, "labels": LABELS}


def free_rows(seed: int) -> dict[str, Any]:
    """Rows drawn one by one from the mixture: class sizes vary."""
    labels = torch.randint(0, CLASSES, (len(LABELS),), generator=generator(seed + 1))
    noise = torch.randn(len(LABELS), DIMS, generator=generator(seed + 500_000))
    return {"features": CENTRES[labels] + noise, "labels": labels}


def with_views(seed: int) -> dict[str, Any]:
    data = fixed_classes(seed)
    noise = torch.randn(2, *data["features"].shape, generator=generator(seed + 900_000))
    return {**data, "views": data["features"] + 0.5 * noise}


def two_encoders(seed: int) -> dict[str, Any]:
    data = fixed_classes(seed)
    noise = torch.randn(data["features"].shape, generator=generator(seed + 900_000))
    return {**data, "other_features": data["features"] + noise}


DESIGNS: list[tuple[str, str, Draw]] = [
    ("uniformity", "rows drawn one by one", free_rows),
    ("mean_cosine", "rows drawn one by one", free_rows),
    ("uniformity", "fixed classes, equal sizes", fixed_classes),
    *((name, "fixed classes, equal sizes", fixed_classes) for name in (
        "intra_class_distance", "inter_class_distance", "class_distance_ratio", "tolerance", "cdnv", "nc1", "nc2",
        "silhouette", "rankme", "effective_rank", "participation_ratio", "stable_rank", "singular_spectrum",
        "ami", "kmeans_purity", "completeness",
    )),
    ("intra_class_distance", "rows drawn one by one", free_rows),
    ("rankme", "rows drawn one by one", free_rows),
    ("lidar", "fixed classes, equal sizes", with_views),
    ("linear_cka", "fixed classes, equal sizes", two_encoders),
    ("procrustes_distance", "fixed classes, equal sizes", two_encoders),
]  # fmt: skip


def metric_coverage(name: str, draw: Draw, trials: int) -> tuple[int, int]:
    metric, found = get(name), []
    for trial in range(trials):
        data = draw(trial)
        arguments = {key: value for key, value in data.items() if key in metric.takes}
        labels: Tensor = data["labels"]
        found.append(with_interval(metric, metric.function(**arguments), arguments, labels=labels, seed=trial))
    truth = sum(float(value) for value in found) / trials
    return sum(v.ci_low <= truth <= v.ci_high for v in found if v.ci_low is not None and v.ci_high is not None), trials


def query_coverage(classes: int, *, binary: bool, trials: int) -> tuple[int, int]:
    """Classes drawn from a population of classes, each with its own level; 20 rows of each."""
    labels, hits = torch.arange(classes).repeat_interleave(20), 0
    for trial in range(trials):
        level = torch.randn(classes, generator=generator(trial), dtype=torch.float64)[labels]
        noise = torch.randn(len(labels), generator=generator(trial + 700_000), dtype=torch.float64)
        parts = (level + 2.0 * noise > 0).double() if binary else level + noise
        estimate, truth = mean_estimate(parts, labels), 0.5 if binary else 0.0
        low, high = share_interval(estimate, rows=len(parts)) if binary else estimate.interval()
        hits += low <= truth <= high
    return hits, trials


def called_different(classes: int, *, trials: int) -> tuple[int, int]:
    """Two checkpoints of equal quality whose differences go together within a class."""
    labels, calls = torch.arange(classes).repeat_interleave(20), 0
    for trial in range(trials):
        ease = 0.5 + 0.2 * torch.randn(2, classes, generator=generator(trial))[:, labels]
        hits = (torch.rand(2, len(labels), generator=generator(trial + 300_000)) < ease).double()
        calls += paired_test(hits[0], hits[1], labels=labels, seed=trial).p_value <= 0.05
    return calls, trials


def table(trials: int) -> str:
    lines = ["| value | design | coverage | |", "|---|---|---|---|"]

    def add(name: str, design: str, result: tuple[int, int]) -> None:
        share = 100.0 * result[0] / result[1]
        verdict = "" if 93.0 <= share <= 97.0 else ("conservative" if share > 97.0 else "approximate")
        lines.append(f"| {name} | {design} | {share:.1f} % | {verdict} |")
        print(lines[-1], file=sys.stderr, flush=True)

    for classes in (5, 10, 50):
        for binary in (False, True):
            kind = "share of hits" if binary else "mean over rows"
            add(kind, f"{classes} drawn classes", query_coverage(classes, binary=binary, trials=10 * trials))
    for name, design, draw in DESIGNS:
        add(name, design, metric_coverage(name, draw, trials))
    lines += ["", "| paired test | design | null pairs called different at 5 % |", "|---|---|---|"]
    for classes in (6, 10, 50):
        calls, count = called_different(classes, trials=5 * trials)
        lines.append(f"| clustered sign flips | {classes} classes of 20 rows | {100.0 * calls / count:.1f} % |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = table(options.trials)
    print(text)
    if options.out:
        write_text(options.out, text)


if __name__ == "__main__":
    main()
