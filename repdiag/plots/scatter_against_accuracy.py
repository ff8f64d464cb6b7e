"""Does a metric tell good encoders from bad ones? The metric against accuracy over architectures."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import CheckpointStyle, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, label_points, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.SCATTER_AGAINST_ACCURACY
BARS = frozenset({"value_low", "value_high", "accuracy_low", "accuracy_high"})


@styled
def scatter_against_accuracy(
    frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS
) -> Figure:
    """Draw one panel per metric, one labelled point per checkpoint, the rank correlation in the title.

    Columns:
        checkpoint  str    one point each
        dataset     str    for the caption
        metric      str    one panel each
        label       str    axis title
        value       float  in the unit of the metric; null where it could not be computed
        accuracy    float  fraction; null where it is not known
        n           int    images
        correlation, correlation_low, correlation_high  float  optional: Spearman's with its interval, per metric
        value_low, value_high, accuracy_low, accuracy_high  float  optional: intervals of each point, drawn as bars
        accuracy_label  str  optional: what the accuracy is, per metric; the title of the other axis
    """
    require(frame, COLUMNS, figure="scatter_against_accuracy")
    metrics = distinct(frame, "metric")
    styles = checkpoint_styles(distinct(frame, "checkpoint"), untrained=untrained)
    columns = 1 if width < 5 else min(len(metrics), 2)
    figure, axes = panels(
        len(metrics), width=width, panel_height=2.2 if frame["checkpoint"].nunique() < 6 else 2.8, columns=columns
    )
    known = frame.dropna(subset=["value", "accuracy"])
    for number, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        part = frame[frame["metric"] == metric]
        _draw(axis, known[known["metric"] == metric], styles=styles)
        axis.set_title(_correlation(part))
        axis.set_xlabel(str(part["label"].iloc[0]))
        if "accuracy_label" in part:
            axis.set_ylabel(str(part["accuracy_label"].iloc[0]))
        else:
            axis.set_ylabel("accuracy" if number % columns == 0 else "")
    has_interval = "correlation_low" in frame and frame["correlation_low"].notna().any()
    interval = "In brackets: 95 % interval of the rank correlation" if has_interval else ""
    bars = "Bars: 95 % intervals" if set(frame) >= BARS else ""
    gaps = missing_note(frame, "value", by=("checkpoint", "metric")) or missing_note(frame, "accuracy")
    add_caption(figure, source_of(frame), bars, interval, gaps)
    shown = short_names(list(styles), limit=22)
    for axis, metric in zip(axes, metrics, strict=True):
        rows = known[known["metric"] == metric]
        names = [str(name) for name in rows["checkpoint"]]
        label_points(
            axis,
            [
                (float(x), float(y), shown[name], styles[name].color)
                for x, y, name in zip(rows["value"], rows["accuracy"], names, strict=True)
            ],
            others=_along_bars(rows),
        )
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, styles: dict[str, CheckpointStyle]) -> None:
    barred = set(rows) >= BARS
    across, up = (_reach(rows, name) if barred else None for name in ("value", "accuracy"))
    for at, (name, x, y) in enumerate(
        zip(rows["checkpoint"].astype(str), rows["value"], rows["accuracy"], strict=True)
    ):
        style = styles[name]
        if across is not None and up is not None:
            bars = axis.errorbar([x], [y], yerr=up[:, [at]], xerr=across[:, [at]], fmt="none", ecolor=style.color)
            for bar in bars[2]:
                bar.set(linewidth=0.6, alpha=0.5)
        axis.scatter([x], [y], s=24, marker=style.marker, c=style.face, edgecolors=style.color, zorder=3)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.grid()
    axis.margins(0.16)


def _reach(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return how far each point's interval reaches down and up, [2, rows]; nothing where there is none."""
    reach = np.stack([rows[name] - rows[f"{name}_low"], rows[f"{name}_high"] - rows[name]]).astype(np.float64)
    kept: NDArray[np.float64] = np.nan_to_num(reach.clip(min=0))
    return kept


def _along_bars(rows: pd.DataFrame) -> list[tuple[float, float]]:
    """Return points along the interval bars, so that labels keep clear of them."""
    if not set(rows) >= BARS:
        return []
    found = []
    for _, row in rows.dropna(subset=sorted(BARS)).iterrows():
        found += [(x, row["accuracy"]) for x in np.linspace(row["value_low"], row["value_high"], 5)]
        found += [(row["value"], y) for y in np.linspace(row["accuracy_low"], row["accuracy_high"], 7)]
    return [(float(x), float(y)) for x, y in found]


def _correlation(part: pd.DataFrame) -> str:
    if "correlation" not in part or part["correlation"].isna().all():
        return ""
    first = part.dropna(subset=["correlation"]).iloc[0]
    text = f"Spearman {first['correlation']:+.2f}"
    if "correlation_low" in part and pd.notna(first["correlation_low"]):
        text += f" [{first['correlation_low']:+.2f}, {first['correlation_high']:+.2f}]"
    return text
