"""Which classes fall into separate groups? Each split class along the direction that divides it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import BLUE
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.SPLIT_CLASSES
_SHOWN = 12


@styled
def split_classes(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel a split class: the density of its rows along the direction of the cut, with the valley between.

    Columns:
        checkpoint   str    named in the panels where there are several
        dataset, split, space  str  for the caption
        class_name   str    one panel each, those in most groups first
        pieces       int    separate groups of the class
        left, right  float  edges of the bin: the row's cosine with the direction of the cut, centred and scaled to 1 sd
        density      float  share of the class's rows per unit; null where it could not be computed
        n            int    images
    """
    require(frame, COLUMNS, figure="split_classes")
    names = distinct(frame, "checkpoint")
    shown = short_names(names, limit=16)
    found = [
        (pieces, name, one, rows)
        for (name, one), rows in frame.groupby(["checkpoint", "class_name"], sort=False)
        for pieces in [int(rows["pieces"].iloc[0])]
    ]
    # Every checkpoint first, then the most divided classes.
    place = dict.fromkeys(names, 0)
    order = []
    for item in sorted(found, key=lambda item: -item[0]):
        order.append((place[str(item[1])], item))
        place[str(item[1])] += 1
    kept = [item for _, item in sorted(order, key=lambda pair: pair[0])][
        : max(_SHOWN if width > 5 else _SHOWN // 2, len(names))
    ]
    figure, axes = panels(len(kept), width=width, panel_height=1.15 if len(names) == 1 else 1.3)
    classes = short_names([str(one) for _, _, one, _ in kept], limit=12)
    for axis, (pieces, name, one, rows) in zip(axes, kept, strict=True):
        beside = f"{shown[str(name)]}\n" if len(names) > 1 else ""
        axis.set_title(f"{beside}{classes[str(one)]}: {pieces} groups", pad=2)
        _draw(axis, rows.sort_values("left"))
    rest = len(found) - len(kept)
    add_caption(
        figure,
        f"{shown[names[0]]}, {source_of(frame)}" if len(names) == 1 else source_of(frame),
        "Rows of the class along the direction that divides it, in standard deviations",
        f"{rest} more split classes are not drawn" if rest else "",
        missing_note(frame, "density"),
    )
    return figure


def _draw(axis: Axes, rows: pd.DataFrame) -> None:
    axis.set_yticks([])
    axis.spines["left"].set_visible(False)
    known = rows.dropna(subset=["density"])
    if known.empty:
        axis.text(0.5, 0.4, "not available", transform=axis.transAxes, ha="center", color="#666666")
        return
    edges = np.append(known["left"].to_numpy(dtype=float), float(known["right"].iloc[-1]))
    density = known["density"].to_numpy(dtype=float)
    axis.stairs(density, edges, fill=True, color=BLUE, alpha=0.3)
    axis.stairs(density, edges, color=BLUE, linewidth=1.0)
    axis.set_xlim(edges[0], edges[-1])
    axis.set_ylim(bottom=0.0)
