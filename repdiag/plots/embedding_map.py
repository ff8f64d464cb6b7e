"""What does the space look like? A two-dimensional map of images and their augmented views, coloured by class."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import CLASS_COLORS, class_colors
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.EMBEDDING_MAP
ORIGINAL = "original"


@styled
def embedding_map(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per checkpoint; dots are original images, crosses their augmented views.

    Columns:
        checkpoint  str    one panel each
        dataset, split  str  for the caption
        row_id      str    identity of the image
        view        str    "original", or the name of an augmented view ("view 1", ...)
        class_name  str    colour; colours repeat after ten classes
        x, y        float  coordinates of the map, no unit; null where there are none
        n           int    images on the map
        method      str    optional: how the map was made, for the caption; UMAP where it is not said
    """
    require(frame, COLUMNS, figure="embedding_map")
    names, classes = distinct(frame, "checkpoint"), distinct(frame, "class_name")
    columns = min(len(names), 2 if width < 5 or len(names) in {2, 4} else 3)
    figure, axes = panels(len(names), width=width, panel_height=_panel_height(width, columns), columns=columns)
    colors, shown = class_colors(sorted(classes)), short_names(names, limit=26)
    for axis, name in zip(axes, names, strict=True):
        rows = frame[frame["checkpoint"].astype(str) == name].dropna(subset=["x", "y"])
        _draw(axis, rows, colors=colors)
        axis.set_title(shown[name])
    repeated = len(classes) > len(CLASS_COLORS)
    handles = [] if repeated else _class_handles(colors)
    handles += _view_handles(distinct(frame, "view"))
    if width > 5:
        figure.legend(handles=handles, loc="outside right upper")
    else:
        add_legend(figure, handles, columns=3)
    note = f"{len(classes)} classes: colours repeat every {len(CLASS_COLORS)}" if repeated else ""
    made_by = ", ".join(distinct(frame.fillna({"method": "UMAP"}), "method")) if "method" in frame else "UMAP"
    meaning = f"{made_by}: distances between far groups mean little"
    add_caption(figure, source_of(frame), meaning, note, missing_note(frame, "x"))
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, colors: dict[str, str]) -> None:
    originals = rows["view"] == ORIGINAL
    size = 9.0 if len(rows) < 1500 else 4.0 if len(rows) < 8000 else 1.5
    for part, marker, scale, alpha in ((rows[~originals], "+", 1.6, 0.6), (rows[originals], "o", 1.0, 0.9)):
        paint = part["class_name"].astype(str).map(colors).tolist()
        axis.scatter(
            part["x"],
            part["y"],
            s=size * scale,
            c=paint,
            marker=marker,
            linewidths=0.5 if marker == "+" else 0,
            alpha=alpha,
            rasterized=True,  # tens of thousands of vector dots would make the PDF unusable
        )
    axis.set_xticks([])
    axis.set_yticks([])
    axis.set_box_aspect(1)
    for spine in axis.spines.values():
        spine.set_visible(True)
        spine.set_color("#cccccc")


def _class_handles(colors: dict[str, str]) -> list[Line2D]:
    shown = short_names(list(colors), limit=16)
    return [
        Line2D([], [], linestyle="", marker="o", markersize=4, markeredgewidth=0, color=color, label=shown[name])
        for name, color in colors.items()
    ]


def _view_handles(views: list[str]) -> list[Line2D]:
    marks = [("o", ORIGINAL)] if ORIGINAL in views else []
    marks += [("+", "augmented view")] if any(view != ORIGINAL for view in views) else []
    return [
        Line2D([], [], linestyle="", marker=mark, markersize=4, color="#444444", label=label) for mark, label in marks
    ]


def _panel_height(width: float, columns: int) -> float:
    """Return the height of a square map with its title, in inches; a wide figure keeps a margin for the legend."""
    margin = 1.3 if width > 5 else 0.0
    return min(3.4, (width - margin) / columns + 0.2)
