"""All checkpoints and headline metrics on one page: a dot and its interval each."""

from __future__ import annotations

import textwrap
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import CheckpointStyle, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.CHECKPOINT_COMPARISON
MAIN = ("knn_accuracy", "r_precision", "pretext_gap", "granularity")
_BETTER = {
    "higher": "better \N{RIGHTWARDS ARROW}",
    "lower": "\N{LEFTWARDS ARROW} better",
    "zero": "best near 0",
    "one": "best near 1",
    "context": "context: no direction is better",
}


@styled
def checkpoint_comparison(
    frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS
) -> Figure:
    """Draw one panel per metric, one line per checkpoint in the order of the frame; untrained ones are hollow.

    Columns:
        checkpoint       str    one line each
        dataset, split, space  str  for the caption
        metric           str    one panel each
        label            str    title of the panel
        direction        str    "higher", "lower", "zero", "one" or "context": what is better
        value            float  in the unit of the metric; null where it could not be computed
        ci_low, ci_high  float  interval of the value; null where there is none
        n                int    images
        reason           str    optional, why a value is null
    """
    require(frame, COLUMNS, figure="checkpoint_comparison")
    if width < 5:  # a column of a paper holds what matters
        frame = frame[frame["metric"].isin(MAIN)] if frame["metric"].isin(MAIN).any() else frame
    names, metrics = distinct(frame, "checkpoint"), distinct(frame, "metric")
    styles = checkpoint_styles(names, untrained=untrained)
    shown = short_names(names, limit=26 if width > 5 else 20)
    columns = 4 if width > 5 else 2
    figure, axes = panels(len(metrics), width=width, panel_height=0.62 + 0.14 * len(names), columns=columns)
    for number, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        rows = frame[frame["metric"] == metric].to_dict(orient="records")
        of_name = {str(row["checkpoint"]): row for row in rows}
        for place, name in enumerate(names):
            _dot(axis, of_name.get(name), place=place, style=styles[name])
        _dress(axis, rows[0], title=22 if width > 5 else 20)
        axis.set_ylim(len(names) - 0.4, -0.6)
        axis.set_yticks(range(len(names)), [shown[name] for name in names] if number % columns == 0 else [])
    intervals = "Lines: 95 % intervals" if frame["ci_low"].notna().any() else ""
    hollow = "Hollow rings and dashed lines: untrained" if any(not style.trained for style in styles.values()) else ""
    gaps = missing_note(frame, "value", by=("checkpoint", "metric"))
    add_caption(figure, source_of(frame), intervals, hollow, gaps)
    return figure


def _dot(axis: Axes, row: Mapping[Hashable, Any] | None, *, place: int, style: CheckpointStyle) -> None:
    if row is None or pd.isna(row["value"]):
        axis.text(0.5, place, "n/a", transform=axis.get_yaxis_transform(), ha="center", va="center", color="#777777")
        return
    value, low, high = (float(row[name]) for name in ("value", "ci_low", "ci_high"))
    if not np.isnan(low) and not np.isnan(high):
        axis.plot([low, high], [place, place], color=style.color, linewidth=1.4, solid_capstyle="butt")
    axis.plot([value], [place], marker=style.marker, color=style.color, markerfacecolor=style.face, markersize=4.5)
    if not style.trained:
        axis.axvline(value, color=style.color, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)


def _dress(axis: Axes, first: Mapping[Hashable, Any], *, title: int) -> None:
    axis.set_title(textwrap.fill(str(first["label"]), title))
    axis.set_xlabel(_BETTER[str(first["direction"])], size=6, color="#444444")
    axis.xaxis.set_major_locator(MaxNLocator(3))
    if first.get("percent"):
        zero = first["direction"] == "zero"
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" pt" if zero else " %"))
    axis.margins(x=0.12)
    axis.grid(axis="y", linewidth=0.4)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)
