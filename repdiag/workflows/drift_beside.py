"""Drift wherever encoders were read on the same rows: a line and a row of drift.csv for each beside a reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.core.embedding_set import EmbeddingSet

MOST_ROWS = 5000
"""Rows that are looked at, spread evenly: all pairs of them are."""


def drift_beside(reference: str, sets: Mapping[str, EmbeddingSet], *, seed: int = 0) -> pd.DataFrame:
    """Return one row for each set but the reference's: the verdict on drift from the reference to it, and its numbers.

    Values come without intervals; `repdiag drift` has them. Sets of other rows, or of too few, are left out.
    """
    import pandas as pd

    from repdiag.core.errors import RepdiagError

    old = sets[reference]
    found = []
    for name, new in sets.items():
        if name == reference:
            continue
        try:
            found.append({"old": reference, "new": name, **_numbers(old, new, seed=seed)})
        except RepdiagError:  # other rows, or too few of them: the comparison itself says so
            continue
    return pd.DataFrame.from_records(found, columns=["old", "new", *_COLUMNS])


_COLUMNS = (
    *("verdict", "neighbors_kept", "ten_kept", "cross_gallery", "row_cosine", "linear_cka", "procrustes_distance"),
    *("precision_at_1_change", "n"),
)


def _numbers(old: EmbeddingSet, new: EmbeddingSet, *, seed: int) -> dict[str, Any]:
    import numpy as np

    from repdiag.diagnosis.drift.measure import measure_drift
    from repdiag.diagnosis.drift.verdict import judge_drift
    from repdiag.embeddings.same_rows import on_same_rows

    new = on_same_rows(old, new, names=("the reference", "the other encoder"))
    if old.labels is None and new.labels is not None:
        old = replace(old, labels=new.labels, class_names=new.class_names)
    if len(old) > MOST_ROWS:
        rows = np.unique(np.linspace(0, len(old) - 1, MOST_ROWS).astype(np.int64))
        old, new = old.select(rows), new.select(rows)
    numbers = measure_drift(old, new, intervals=False, seed=seed)
    classes = numbers.classes
    return {
        "verdict": judge_drift(numbers).verdict,
        "neighbors_kept": _first(numbers.table, "neighbors_kept", k=1),
        "ten_kept": _first(numbers.table, "neighbors_kept", k=10),
        "cross_gallery": _first(numbers.table, "cross_gallery", rotated=False),
        **{name: _first(numbers.table, name) for name in ("row_cosine", "linear_cka", "procrustes_distance")},
        "precision_at_1_change": None if classes is None else classes.new - classes.old,
        "n": len(old),
    }


def _first(table: Any, metric: str, **params: Any) -> float | None:
    rows = table.where(metric=metric, **params).rows
    return rows[0].value if rows else None


def drift_lines(frame: pd.DataFrame | None) -> list[str]:
    """Return what a terminal shows of the drift beside a comparison; nothing where there is none."""
    if frame is None or not len(frame):
        return []
    heading = "\nneighbours, row by row (drift.csv; `repdiag drift` tells more):"
    return [heading, *(f"  {sentence}" for sentence in drift_sentences(frame))]


def drift_sentences(frame: pd.DataFrame) -> list[str]:
    """Return a line for each row of `drift_beside`."""
    from repdiag.core.numbers import show_value

    said = []
    for row in frame.to_dict(orient="records"):
        kept: Any = row["neighbors_kept"]
        line = f"drift from {row['old']} to {row['new']}: {row['verdict']}"
        known = isinstance(kept, float) and math.isfinite(kept)
        said.append(f"{line}; the nearest row is the same for {show_value(kept, percent=True)}" if known else line)
    return said
