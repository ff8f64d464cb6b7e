"""Are positives close and the rest spread out? Alignment against uniformity; towards the lower left both are."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import GREY, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, label_points, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.ALIGNMENT_UNIFORMITY_PLANE
ENDS = ("uniformity_low", "uniformity_high", "alignment_low", "alignment_high")
_MARKERS = {"val": "o", "test": "o", "train": "s"}


@styled
def alignment_uniformity_plane(
    frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS
) -> Figure:
    """Draw one panel per space, one point per checkpoint and split; colour is accuracy where the frame has it.

    Columns:
        checkpoint  str    labelled beside its val point
        dataset     str    for the caption
        split       str    "train" (square) or "val" (circle)
        space       str    "features" or "projections", one panel each: unlike dimensions are not compared
        alignment   float  mean squared distance of positives, 0 to 4; null where it could not be computed
        uniformity  float  log of the mean Gaussian potential, nats; null where it could not be computed
        n           int    images
        accuracy    float  optional, fraction, null allowed: colour of the point
        alignment_low, alignment_high, uniformity_low, uniformity_high  float  optional: intervals, drawn as bars
    """
    require(frame, COLUMNS, figure="alignment_uniformity_plane")
    spaces = distinct(frame, "space")
    figure, axes = panels(
        len(spaces),
        width=width,
        panel_height=2.3 if frame["checkpoint"].nunique() < 6 else 3.0,
        columns=2 if width > 5 else 1,
    )
    styles = checkpoint_styles(distinct(frame, "checkpoint"), untrained=untrained)
    colored = "accuracy" in frame and frame["accuracy"].nunique() > 1
    known = frame.dropna(subset=["alignment", "uniformity"])
    colors = {name: style.color for name, style in styles.items()}
    ink = None
    for axis, space in zip(axes, spaces, strict=True):
        rows = known[known["space"] == space]
        _bars(axis, rows)
        for name, group in rows.groupby("checkpoint", sort=False):
            axis.plot(group["uniformity"], group["alignment"], color="#bbbbbb", linewidth=0.7, zorder=1)
            if not colored:
                _points(axis, group, edge=colors[str(name)], face=styles[str(name)].face)
        if colored:
            _points(axis, rows, edge=GREY, face="white")
            ink = _colored_points(axis, rows, frame) or ink
        axis.set_title(space if len(spaces) > 1 else "")
        axis.set_xlabel("uniformity (nats): lower is more spread")
        axis.set_ylabel("alignment: lower is closer")
        axis.grid()
        axis.margins(0.18)
    if ink is not None:
        bar = figure.colorbar(
            ink, ax=axes, label="kNN accuracy", shrink=min(0.8, 1.6 / figure.get_figheight()), pad=0.02
        )
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
        bar.outline.set_visible(False)
    _legend(figure, distinct(known, "split"))
    gaps = missing_note(frame, "uniformity") or missing_note(frame, "alignment")
    blank = "White points: unknown accuracy" if colored and frame["accuracy"].isna().any() else ""
    bars = "Bars: 95 % intervals" if set(ENDS) <= set(frame) else ""
    add_caption(figure, source_of(frame), bars, blank, gaps)
    _label(axes, known, spaces=spaces, colors=dict.fromkeys(colors, "black") if colored else colors)
    return figure


def _points(axis: Axes, rows: pd.DataFrame, *, edge: str, face: str) -> None:
    for split, group in rows.groupby("split", sort=False):
        marker = _MARKERS.get(str(split), "D")
        axis.scatter(group["uniformity"], group["alignment"], s=26, marker=marker, c=face, edgecolors=edge, zorder=3)


def _bars(axis: Axes, rows: pd.DataFrame) -> None:
    """Draw the intervals of both values, where the frame has them."""
    if not set(ENDS) <= set(rows):
        return
    for row in rows.to_dict(orient="records"):
        x, y, left, right, low, high = (row[name] for name in ("uniformity", "alignment", *ENDS))
        axis.plot([left, right], [y, y], color=GREY, linewidth=0.7, zorder=2)
        axis.plot([x, x], [low, high], color=GREY, linewidth=0.7, zorder=2)


def _colored_points(axis: Axes, rows: pd.DataFrame, frame: pd.DataFrame) -> PathCollection | None:
    ink = None
    for split, group in rows.dropna(subset=["accuracy"]).groupby("split", sort=False):
        ink = axis.scatter(
            group["uniformity"],
            group["alignment"],
            c=group["accuracy"].to_numpy(dtype=float),
            s=26,
            marker=_MARKERS.get(str(split), "D"),
            vmin=float(frame["accuracy"].min()),
            vmax=float(frame["accuracy"].max()),
            edgecolors="black",
            linewidths=0.5,
            zorder=4,
        )
    return ink


def _legend(figure: Figure, splits: list[str]) -> None:
    handles = [
        Line2D([], [], linestyle="", marker=_MARKERS.get(split, "D"), color="#444444", label=split) for split in splits
    ]
    add_legend(figure, handles, columns=max(1, len(handles)))


def _label(axes: list[Axes], rows: pd.DataFrame, *, spaces: list[str], colors: dict[str, str]) -> None:
    shown = short_names(distinct(rows, "checkpoint"), limit=22)
    for axis, space in zip(axes, spaces, strict=True):
        points, others = [], []
        for name, group in rows[rows["space"] == space].groupby("checkpoint", sort=False):
            places = list(group.sort_values("split")[["uniformity", "alignment"]].itertuples(index=False, name=None))
            others += places[:-1]
            points.append((*places[-1], shown[str(name)], colors[str(name)]))  # "val" sorts after "train"
        label_points(axis, points, others=others)
