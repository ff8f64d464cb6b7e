"""The few metrics that a reader wants first, as a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repdiag.core.metric_table import MetricTable
from repdiag.results.frames.table_frames import headline_row
from repdiag.results.headlines import HEADLINES

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("metric", "label", "value", "ci_low", "ci_high", "n", "direction", "percent", "reason")


def headline_frame(table: MetricTable, *, space: str = "features", split: str = "val") -> pd.DataFrame:
    """Return one row a headline metric that the table has, in the order of the argument."""
    import pandas as pd

    records = []
    for headline in HEADLINES:
        row = headline_row(table, headline, space=space, split=split)
        if row is not None:
            shown: dict[str, Any] = {"metric": row.metric, "label": headline.label}
            shown |= {"direction": headline.direction, "percent": headline.percent}
            records.append({name: shown.get(name, getattr(row, name, None)) for name in COLUMNS})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
