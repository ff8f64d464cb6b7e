"""What protocols found of the encoders, as the page shows it."""

from __future__ import annotations

from typing import Any

from repdiag.core.metric_table import MetricTable
from repdiag.core.numbers import show_interval, show_value


def downstream_lines(table: MetricTable) -> list[dict[str, Any]]:
    """Return one line a protocol's row: value, interval, and how it was found."""
    return [
        {
            "checkpoint": row.checkpoint,
            "protocol": f"{row.metric} (version {row.version})",
            "measure": str(row.params.get("measure", "")).replace("_", " "),
            "text": f"n/a: {row.reason}" if row.value is None else show_value(row.value, percent=True),
            "sort": "" if row.value is None else repr(row.value),
            "interval": show_interval(row.ci_low, row.ci_high, percent=True),
            "said": f"{row.extra.get('features')}; rows {row.extra.get('row_scaling')}; {row.extra.get('selection')}",
        }
        for row in table
        if "protocol" in row.extra
    ]
