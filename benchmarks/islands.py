"""How often are classes split, and labels that join classes? Real rows drawn again and again, and planted encoders.

    python -m benchmarks.islands --real build/cifar --draws 30    30 draws of 10 classes each: 300 chances to be wrong
                                                                  (--write puts the table into docs/uncertainty.md)
    python -m benchmarks.islands --planted FOLDER                 encoders stored as NAME.npz (features, labels)

The real rows are those of `benchmarks.coverage_real`. Labels are the ten classes, five pairs of unrelated classes, five
of related ones, and vehicles against animals; at 50, 100 and 300 rows of each class.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.coverage_real import ENCODERS, population
from repdiag.core.files import write_text
from repdiag.metrics.clusters.class_islands import class_islands
from repdiag.metrics.pairwise import sharing

# airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck
LABELS = {
    "one class each": (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    "pairs of unrelated classes": (0, 1, 2, 3, 4, 0, 1, 2, 3, 4),
    "pairs of related classes": (0, 1, 4, 2, 3, 2, 4, 3, 0, 1),
    "vehicles, animals": (0, 0, 1, 1, 1, 1, 1, 1, 0, 0),
}
ROWS = (50, 100, 300)
DOCUMENT = Path(__file__).parents[1] / "docs" / "uncertainty.md"
BEGIN, END = "<!-- islands: begin -->", "<!-- islands: end -->"


def split_classes(features: Tensor, labels: Tensor, *, seed: int) -> list[int | None]:
    """Return the number of pieces of every label, None where it has too few rows."""
    with sharing():
        return [found.pieces for found in class_islands(features, labels, seed=seed)]


def share_split(pieces: Sequence[Sequence[int | None]]) -> str:
    """Say how many labels were split, of how many, and by label."""
    judged = np.array([[np.nan if number is None else float(number > 1) for number in draw] for draw in pieces])
    known = ~np.isnan(judged)
    by_label = ", ".join(f"{share:.2f}" for share in np.nanmean(judged, axis=0))
    return f"{int(np.nansum(judged))} of {int(known.sum())} ({by_label})"


def real_rows(folder: Path, *, draws: int) -> str:
    """Return the table of splits; its rows appear as they come."""
    lines = ["| encoder | rows a class | labels | split | mean pieces | s a draw |", "|---|---|---|---|---|---|"]
    print(*lines, sep="\n")
    for encoder in ENCODERS:
        rows = population(folder, encoder, "val")
        for per_class in ROWS:
            chosen = [rows.draw(seed, per_class=per_class) for seed in range(draws)]
            for name, table in LABELS.items():
                some = chosen if name == "one class each" else chosen[: max(3, draws // 3)]
                begun = time.process_time()
                joined = torch.tensor(table)
                pieces = [
                    split_classes(rows.features[draw], joined[rows.labels[draw]], seed=seed)
                    for seed, draw in enumerate(some)
                ]
                spent = (time.process_time() - begun) / len(some)
                mean = np.mean([number for draw in pieces for number in draw if number is not None])
                said = f"{share_split(pieces)} | {mean:.2f} | {spent:.2f}"
                lines.append(f"| {encoder} | {per_class} | {name} | {said} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def write(text: str, *, draws: int) -> None:
    """Put the table where docs/uncertainty.md has its place."""
    head, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
    said = f"`python -m benchmarks.islands --real build/cifar --draws {draws} --write`"
    write_text(DOCUMENT, f"{head}{BEGIN}\n\n{said}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def planted(folder: Path) -> None:
    print("| encoder | pieces of each class | split |\n|---|---|---|")
    for path in sorted(folder.glob("*.npz")):
        arrays = np.load(path)
        features = torch.from_numpy(arrays["features"].astype(np.float32))
        pieces = split_classes(features, torch.from_numpy(arrays["labels"].astype(np.int64)), seed=0)
        split = sum(number is not None and number > 1 for number in pieces)
        print(f"| {path.stem} | {' '.join(map(str, pieces))} | {split} of {len(pieces)} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--real", type=Path, help="folder of stored embeddings of real images (benchmarks.coverage_real)"
    )
    parser.add_argument("--planted", type=Path, help="folder of NAME.npz")
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--write", action="store_true", help="put the table of real rows into docs/uncertainty.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.real is not None:
        text = real_rows(options.real, draws=options.draws)
        if options.write:
            write(text, draws=options.draws)
    if options.planted is not None:
        planted(options.planted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
