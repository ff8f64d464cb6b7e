"""The classes of a run, one line each: how its images are found, how they scatter, with which class they merge."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.csv_text import plain_cells
from repdiag.core.errors import StoreError
from repdiag.core.numbers import show_value

if TYPE_CHECKING:
    import pandas as pd

# Metric, settings, heading, percent.
_SHOWN: tuple[tuple[str, Mapping[str, Any], str, bool], ...] = (
    ("knn_accuracy", {"k": 20}, "kNN, k = 20", True),
    ("r_precision", {}, "R-precision", True),
    ("instance_discrimination_accuracy", {"k": 1, "pair": "original-view"}, "instance discrimination", True),
    ("intra_class_distance", {}, "intra-class distance", False),
)
_MERGED = 0.25  # share of a cluster from which another class counts as sharing it


@dataclass(frozen=True, kw_only=True)
class ClassCell:
    """One entry; `sort` is the number behind it, empty where there is none."""

    text: str
    sort: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassTable:
    """Headings, each with its checkpoint, and one line a class: its name, its images, its cells."""

    headings: tuple[tuple[str, str], ...]
    lines: tuple[tuple[str, int, tuple[ClassCell, ...]], ...]

    @property
    def groups(self) -> list[tuple[str, list[str]]]:
        """The checkpoints in the order of their columns, each with the headings of its own."""
        return [
            (name, [heading for heading, _ in columns])
            for name, columns in itertools.groupby(self.headings, key=lambda heading: heading[1])
        ]


def class_table(
    parts: Mapping[str, Path], *, space: str = "features", splits: Mapping[str, str] | None = None
) -> ClassTable | None:
    """Return the table of all trained checkpoints from their per_class.parquet; None where none was kept.

    `splits` names the split that is judged of each; val where it does not say.
    """
    columns: list[tuple[tuple[str, str], Mapping[str, ClassCell]]] = []
    images: dict[str, int] = {}
    for name, folder in parts.items():
        frame = _read(folder / "per_class.parquet")
        if frame is None:
            continue
        split = (splits or {}).get(name, "val")
        frame = frame[(frame["checkpoint"] == name) & (frame["space"] == space) & (frame["split"] == split)]
        for heading, cells, counts in _measured(frame):
            columns.append(((heading, name), cells))
            images = counts | images
        columns += [((heading, name), cells) for heading, cells in _clustered(folder)]
    if not images:
        return None
    lines = [
        (label, images[label], tuple(cells.get(label, ClassCell(text="n/a")) for _, cells in columns))
        for label in sorted(images)
    ]
    return ClassTable(headings=tuple(heading for heading, _ in columns), lines=tuple(lines))


def _measured(frame: pd.DataFrame) -> Iterator[tuple[str, dict[str, ClassCell], dict[str, int]]]:
    for metric, settings, heading, percent in _SHOWN:
        found = frame[frame["metric"] == metric]
        for params, rows in found.groupby("params", sort=False):
            if not settings.items() <= json.loads(str(params)).items():
                continue
            cells = {
                str(label): ClassCell(text="n/a")
                if math.isnan(value)
                else ClassCell(text=show_value(value, percent=percent), sort=repr(value))
                for label, value in zip(rows["class_name"], rows["value"].astype(float).tolist(), strict=True)
            }
            yield heading, cells, dict(zip(map(str, rows["class_name"]), map(int, rows["n"]), strict=True))
            break


def _clustered(folder: Path) -> Iterator[tuple[str, dict[str, ClassCell]]]:
    """Yield over how many k-means clusters (K = C) each class spreads, and which other class shares its largest one."""
    import pandas as pd

    path = folder / "figures" / "cluster_class_confusion.csv"
    if not path.is_file():
        return
    counts = plain_cells(pd.read_csv(path, dtype={"class_name": str}, keep_default_na=False))
    counts = counts.pivot_table(index="class_name", columns="cluster", values="count", aggfunc="sum", fill_value=0)
    shares = counts.div(counts.sum(axis=1), axis=0)
    spread, partner = {}, {}
    for label, row in shares.iterrows():
        used = math.exp(-sum(share * math.log(share) for share in row if share > 0))
        spread[str(label)] = ClassCell(text=f"{used:.1f}", sort=repr(used))
        inside = counts[row.idxmax()] / counts[row.idxmax()].sum()
        others = inside.drop(label).sort_values(ascending=False)
        merged = [f"{other} ({show_value(share, percent=True)})" for other, share in others.items() if share >= _MERGED]
        partner[str(label)] = ClassCell(text=", ".join(merged) or "\N{EN DASH}", sort=", ".join(merged))
    yield "effective number of clusters", spread
    yield "shares its largest cluster with", partner


def _read(path: Path) -> pd.DataFrame | None:
    import pandas as pd

    if not path.is_file():
        return None
    try:
        found = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}", found=str(error)) from error
    return None if found.empty else found  # of vectors without labels
