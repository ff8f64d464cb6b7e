"""Checks that a frame is the one a figure was promised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from repdiag.core.errors import MetricError

if TYPE_CHECKING:
    import pandas as pd


def require(frame: pd.DataFrame, columns: Sequence[str], *, figure: str) -> None:
    """Raise `MetricError` unless `frame` has at least one row and all of `columns`."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise MetricError(f"the table of {figure} lacks columns: {', '.join(missing)}", found=", ".join(frame.columns))
    if frame.empty:
        raise MetricError(f"the table of {figure} has no rows", hint="were the metrics it shows computed?")


def distinct(frame: pd.DataFrame, column: str) -> list[str]:
    """Return the distinct values of one column as text, in order of appearance."""
    return [str(value) for value in dict.fromkeys(frame[column])]
