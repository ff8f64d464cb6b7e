"""A line with markers and, around it, the band of its intervals."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes

from repdiag.plots.palette import CheckpointStyle


def banded_line(
    axis: Axes, rows: pd.DataFrame, *, across: str, low: str, high: str, style: CheckpointStyle, label: str
) -> None:
    """Draw the column `value` over the column `across`, and the band between the columns `low` and `high`."""
    axis.fill_between(rows[across], rows[low], rows[high], color=style.color, alpha=0.18, linewidth=0)
    axis.plot(
        rows[across],
        rows["value"],
        color=style.color,
        linestyle=style.line,
        marker=style.marker,
        markersize=3.2,
        markerfacecolor=style.face,
        label=label,
    )
