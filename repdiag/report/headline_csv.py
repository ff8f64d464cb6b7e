"""headline.csv of a result: the few metrics that a reader wants first, one row a value, with what is marked of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repdiag.report.comparison import ComparisonTable, comparison_table
from repdiag.results.headlines import CONTEXT

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.results.pairs import StoredPairs

FILE = "headline.csv"
COLUMNS = (
    *("checkpoint", "role", "dataset", "split", "metric", "label", "value", "ci_low", "ci_high", "n"),
    *("better", "percent", "mark", "letters", "reason"),
)


def write_headline(table: MetricTable, folder: Path, pairs: StoredPairs | None = None) -> None:
    """Write headline.csv into the private folder of a transaction; without pairs of tests, marks are by intervals."""
    from repdiag.core.csv_text import csv_text
    from repdiag.core.files import write_text

    write_text(folder / FILE, csv_text(headline_rows(comparison_table(table, pairs))))


def headline_rows(found: ComparisonTable) -> pd.DataFrame:
    """Return the values of a comparison table as rows.

    `better` is higher, lower, zero, one, or context (moves with width and collapse, and is never called better);
    `mark` is best (told apart from all others), alike (shares the lead) or empty. Shares are between 0 and 1.
    """
    import pandas as pd

    records = []
    for line in found.lines:
        for headline, cell in zip(found.headlines, line.cells, strict=True):
            if cell.row is None:
                continue
            better = "context" if headline.metric in CONTEXT else headline.direction
            shown: dict[str, Any] = {"checkpoint": line.name, "label": headline.label, "better": better}
            shown |= {"percent": headline.percent, "mark": cell.mark, "letters": cell.letters}
            records.append({name: shown.get(name, getattr(cell.row, name, None)) for name in COLUMNS})
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))
