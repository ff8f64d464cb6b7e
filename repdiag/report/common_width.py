"""Encoders of unlike width at a common number of dimensions, as a comparison stored it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.csv_text import plain_cells
from repdiag.core.metric_table import MetricTable
from repdiag.report.comparison import ComparisonTable, comparison_table

if TYPE_CHECKING:
    from repdiag.results.reading import StoredRun

FILE = "common_dimension.csv"


@dataclass(frozen=True, kw_only=True)
class CommonWidth:
    """The table and its number of dimensions, 0 where an older result does not say it."""

    dims: int
    table: ComparisonTable


def common_width(stored: StoredRun) -> CommonWidth | None:
    """Return the stored table; None where all encoders have one width."""
    import pandas as pd

    path: Path = stored.folder / FILE
    if not path.is_file():
        return None
    table = MetricTable.from_frame(plain_cells(pd.read_csv(path)))
    return CommonWidth(dims=int(stored.record.get("common_dims") or 0), table=comparison_table(table))
