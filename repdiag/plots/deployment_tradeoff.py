"""What does it cost to be better? Worth against time, size, memory and work, and the front of the best."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import GREY, CheckpointStyle, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, label_points, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.DEPLOYMENT_TRADEOFF
_STEPS = 12  # points along each piece of the line


@styled
def deployment_tradeoff(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per measure and cost, one labelled point per checkpoint, a line along the front.

    Columns:
        checkpoint       str    one point each
        dataset, split   str    for the caption
        metric           str    one row of panels each: what the encoder is worth, a share
        label            str    title of that axis
        value            float  null where it could not be computed
        ci_low, ci_high  float  interval of the value; null where there is none
        cost             str    one column of panels each
        cost_label       str    title of that axis, with its unit
        amount           float  in that unit; null where it was not measured
        n                int    images
        on_front         bool   no other checkpoint is as good for less, or better for as little
    """
    require(frame, COLUMNS, figure="deployment_tradeoff")
    metrics, costs = distinct(frame, "metric"), distinct(frame, "cost")
    styles = checkpoint_styles(distinct(frame, "checkpoint"))
    shown = short_names(list(styles), limit=18)
    columns = len(costs) if width > 5 else min(2, len(costs))
    pairs = [(metric, cost) for metric in metrics for cost in costs]
    figure, axes = panels(len(pairs), width=width, panel_height=2.1, columns=columns)
    known = frame.dropna(subset=["value", "amount"])
    for number, (axis, (metric, cost)) in enumerate(zip(axes, pairs, strict=True)):
        titles = frame[(frame["metric"] == metric) & (frame["cost"] == cost)]
        _draw(axis, known[(known["metric"] == metric) & (known["cost"] == cost)], styles=styles)
        axis.set_xlabel(str(titles["cost_label"].iloc[0]))
        (label,) = short_names([str(titles["label"].iloc[0])], limit=34).values()
        axis.set_ylabel(label if number % columns == 0 else "")
    intervals = "Lines: 95 % intervals" if frame["ci_low"].notna().any() else ""
    gaps = missing_note(frame, "value", by=("checkpoint", "metric"))
    unmeasured = missing_note(frame, "amount", by=("checkpoint", "cost"))
    note = "Grey line: no other encoder is as good at lower cost. Times and memory were measured on one machine"
    add_caption(figure, source_of(frame), note, intervals, gaps, unmeasured)
    for axis, (metric, cost) in zip(axes, pairs, strict=True):
        rows = known[(known["metric"] == metric) & (known["cost"] == cost)]
        names = [str(name) for name in rows["checkpoint"]]
        points = zip(rows["amount"], rows["value"], names, strict=True)
        labels = [(float(x), float(y), shown[name], styles[name].color) for x, y, name in points]
        label_points(axis, labels, others=_along(_front(rows)))
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, styles: dict[str, CheckpointStyle]) -> None:
    front = _front(rows)
    axis.plot(front["amount"], front["value"], color=GREY, linewidth=0.9, drawstyle="steps-post", zorder=1)
    for row in rows.to_dict(orient="records"):
        style = styles[str(row["checkpoint"])]
        if pd.notna(row["ci_low"]) and pd.notna(row["ci_high"]):
            axis.plot([row["amount"]] * 2, [row["ci_low"], row["ci_high"]], color=style.color, linewidth=0.6, alpha=0.5)
        axis.scatter([row["amount"]], [row["value"]], s=22, marker=style.marker, c=style.color, zorder=3)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.margins(0.18)
    axis.grid()


def _front(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["on_front"].astype(bool)].sort_values("amount", kind="stable")


def _along(front: pd.DataFrame) -> list[tuple[float, float]]:
    """Return points along the line through the front, which labels leave free."""
    corners = list(zip(front["amount"].astype(float), front["value"].astype(float), strict=True))
    found = []
    for (x, y), (further, higher) in itertools.pairwise(corners):
        shares = [step / _STEPS for step in range(_STEPS + 1)]
        found += [(x + share * (further - x), y) for share in shares]
        found += [(further, y + share * (higher - y)) for share in shares]
    return found
