"""What became of neighbours from one encoder to another, as the page shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repdiag.core.numbers import show_value
from repdiag.core.plain_records import plain_records

if TYPE_CHECKING:
    import pandas as pd

_SHARES = ("neighbors_kept", "ten_kept", "cross_gallery")
_NUMBERS = ("row_cosine", "linear_cka", "procrustes_distance")
HEADINGS = (
    *("from", "to", "verdict", "nearest kept", "ten nearest kept", "found in the old gallery"),
    *("cosine of a row", "linear CKA", "Procrustes distance", "precision at 1", "rows"),
)
_DASH = "\N{EN DASH}"
# A verdict's colour: what holds, what asks for work, what is another space.
_TONES = {"same space": "good", "same neighbourhoods, re-index": "warn", "changed": "bad"}


def drift_table(frame: pd.DataFrame | None) -> dict[str, Any] | None:
    """Return headings and lines of the table; None without a pair."""
    if frame is None or not len(frame):
        return None
    return {"headings": HEADINGS, "lines": [_line(row) for row in plain_records(frame)]}


def _line(row: dict[str, Any]) -> dict[str, Any]:
    change = row["precision_at_1_change"]
    shown = [_shown(row[name], percent=True) for name in _SHARES] + [_shown(row[name]) for name in _NUMBERS]
    moved = _DASH if change is None else f"{100 * float(change):+.1f} points"
    return {
        "old": str(row["old"]),
        "new": str(row["new"]),
        "verdict": str(row["verdict"]),
        "tone": _TONES.get(str(row["verdict"]), "warn"),
        "cells": [*shown, moved, f"{int(row['n']):,}"],
    }


def _shown(value: Any, *, percent: bool = False) -> str:
    return _DASH if value is None else show_value(float(value), percent=percent)
