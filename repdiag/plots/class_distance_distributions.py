"""Are images of one class nearer to each other than to the rest? Distances within and between classes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import BLUE, VERMILLION
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.CLASS_DISTANCE_DISTRIBUTIONS
_KINDS: dict[str, tuple[str, Any, str]] = {
    "intra": (BLUE, "-", "within a class"),
    "inter": (VERMILLION, (0, (3, 1.2)), "between classes"),
}


@styled
def class_distance_distributions(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one strip per checkpoint with the two densities; the less they overlap, the better the classes separate.

    Columns:
        checkpoint   str    one strip each
        dataset, split, space  str  for the caption
        kind         str    "intra" (pairs of one class) or "inter" (pairs of two classes)
        left, right  float  edges of the bin, squared distance of unit rows, 0 to 4
        density      float  share of pairs per unit of squared distance; null where it could not be computed
        n            int    images
        mean         float  optional: mean squared distance of that kind, drawn as a tick
    """
    require(frame, COLUMNS, figure="class_distance_distributions")
    names = distinct(frame, "checkpoint")
    figure, axes = panels(
        len(names),
        width=width,
        panel_height=0.95 if len(names) < 4 else min(0.6, 3.6 / len(names)) if width < 5 else 0.6,
        columns=1,
    )
    shown = short_names(names, limit=30 if width > 5 else 20)
    known = frame[frame["density"] > 0]
    low, high = (float(known["left"].min()), float(known["right"].max())) if len(known) else (0.01, 4.0)
    low = max(low, high / 1e4)
    for axis, name in zip(axes, names, strict=True):
        rows = frame[frame["checkpoint"].astype(str) == name]
        if rows["density"].isna().all():
            axis.text(0.5, 0.4, "not available", transform=axis.transAxes, ha="center", color="#666666")
        for kind in _KINDS:
            _draw(axis, rows[rows["kind"] == kind].dropna(subset=["density"]), kind=kind)
        axis.set_title(shown[name], pad=1)
        axis.set_xscale("log")
        axis.set_xlim(low, high)
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_ylim(bottom=0)
        axis.set_yticks([])
        axis.spines["left"].set_visible(False)
        axis.tick_params(axis="x", labelbottom=axis is axes[-1])
    axes[-1].set_xlabel("squared distance of unit rows (log scale)")
    add_legend(figure, _legend_handles(), columns=2)
    ticks = "Vertical lines: means" if "mean" in frame and frame["mean"].notna().any() else ""
    add_caption(
        figure,
        source_of(frame),
        "Share of pairs per octave of distance, each strip scaled to its own peak",
        ticks,
        missing_note(frame, "density"),
    )
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, kind: str) -> None:
    if rows.empty:
        return
    color, line, _ = _KINDS[kind]
    rows = rows.sort_values("left")
    edges = np.append(rows["left"].to_numpy(dtype=float), float(rows["right"].iloc[-1]))
    edges[0] = max(edges[0], edges[1] / 4)  # a log scale has no zero
    density = rows["density"].to_numpy(dtype=float) * np.sqrt(edges[:-1] * edges[1:])
    axis.stairs(density, edges, fill=True, color=color, alpha=0.3)
    axis.stairs(density, edges, color=color, linestyle=line, linewidth=1.1)
    if "mean" in rows and rows["mean"].notna().any():
        axis.axvline(float(rows["mean"].iloc[0]), ymax=1.0, color=color, linestyle=line, linewidth=0.9)


def _legend_handles() -> list[Patch]:
    return [
        Patch(facecolor=(color, 0.3), edgecolor=color, linestyle=line, label=label)
        for color, line, label in _KINDS.values()
    ]
