"""How many directions does the space use? Singular values from the largest to the smallest, log-log."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.SINGULAR_SPECTRUM
# Below this a value is rounding; showing it would flatten the part that matters.
_FLOOR = 1e-6


@styled
def singular_spectrum(frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per space, one line per checkpoint; a steep fall means that few directions carry everything.

    Columns:
        checkpoint      str    one line each
        dataset, split  str    for the caption
        space           str    "features" or "projections", one panel each
        index           int    rank of the singular value, from 1
        singular_value  float  over the largest one, 0 to 1; null where it could not be computed
        rankme          float  effective number of directions, for the legend; null if unknown
        dims            int    number of dimensions D
        n               int    images
    """
    require(frame, COLUMNS, figure="singular_spectrum")
    names, spaces = distinct(frame, "checkpoint"), distinct(frame, "space")
    styles, shown = checkpoint_styles(names, untrained=untrained), short_names(names, limit=24)
    figure, axes = panels(len(spaces), width=width, panel_height=2.2, columns=2 if width > 5 else 1)
    floor = max(_FLOOR, float(frame.loc[frame["singular_value"] > _FLOOR, "singular_value"].min()))
    for axis, space in zip(axes, spaces, strict=True):
        part = frame[frame["space"] == space]
        for name in names:
            rows = part[part["checkpoint"].astype(str) == name].dropna(subset=["singular_value"])
            style = styles[name]
            axis.plot(
                rows["index"],
                rows["singular_value"],
                color=style.color,
                linestyle=style.line,
                marker=style.marker,
                markevery=0.17,
                markersize=3.5,
                markerfacecolor=style.face,
                label=_legend_entry(frame[frame["checkpoint"].astype(str) == name], name=shown[name], spaces=spaces),
            )
        axis.set(xscale="log", yscale="log", xlabel="rank of the singular value", title=space)
        axis.set_ylim(floor / 1.5, 1.4)
        axis.grid(which="major")
        for side in (axis.xaxis, axis.yaxis):
            side.set_major_locator(LogLocator(base=10))
            side.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            side.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("singular value / largest")
    add_legend(figure, axes[0].get_legend_handles_labels()[0], columns=2 if width > 5 else 1)
    cut = f"Values below {_FLOOR:g} not shown" if (frame["singular_value"] < _FLOOR).any() else ""
    add_caption(figure, source_of(frame), cut, missing_note(frame, "singular_value", by=("checkpoint", "space")))
    return figure


def _legend_entry(rows: pd.DataFrame, *, name: str, spaces: list[str]) -> str:
    """Return the name with RankMe and D of each panel, in the order of the panels."""
    parts = []
    for space in spaces:
        part = rows[rows["space"] == space].dropna(subset=["dims"])
        rank, dims = (part["rankme"].iloc[0], int(part["dims"].iloc[0])) if len(part) else (float("nan"), 0)
        parts.append(f"{rank:.3g} of {dims}" if pd.notna(rank) else "n/a")
    return f"{name}: RankMe {' | '.join(parts)}"
