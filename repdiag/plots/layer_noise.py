"""At which layer does the exported network leave the original? Signal to noise of every tensor that both have."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import VERMILLION, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.LAYER_NOISE
_NAMED = 3


@styled
def layer_noise(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per checkpoint: signal to noise along the layers, the first layers at which it falls by name.

    Columns:
        checkpoint       str    one panel each: the network whose layers are held against the original's
        dataset, split   str    for the caption
        place            int    the layer's place in the graph
        tensor           str    its name
        operator         str    what makes it
        signal_to_noise  float  in dB
        fall             float  by how much that is less than the smallest of its inputs, in dB
        falls            bool   whether that is enough to be named
        n                int    images
    """
    require(frame, COLUMNS, figure="layer_noise")
    names = distinct(frame, "checkpoint")
    styles, shown = checkpoint_styles(names), short_names(names, limit=40 if width > 5 else 30)
    figure, axes = panels(len(names), width=width, panel_height=2.2, columns=1)
    for axis, name in zip(axes, names, strict=True):
        rows = frame[frame["checkpoint"] == name].dropna(subset=["signal_to_noise"])
        axis.plot(rows["place"], rows["signal_to_noise"], color=styles[name].color, linewidth=1.0)
        falls = rows[rows["falls"].astype(bool)].head(_NAMED)
        axis.scatter(falls["place"], falls["signal_to_noise"], color=VERMILLION, s=18, zorder=3)
        labels = short_names([str(one) for one in falls["tensor"]], limit=30 if width > 5 else 24)
        lines = [f"{int(row['place'])}: {labels[str(row['tensor'])]}, {row['signal_to_noise']:.0f} dB"
                 for row in falls.to_dict(orient="records")]  # fmt: skip
        axis.text(
            0.98, 0.96, "\n".join(lines), transform=axis.transAxes, ha="right", va="top", size=6, color=VERMILLION
        )
        axis.set_title(shown[name])
        axis.set_xlabel("layer, in the order of the graph" if axis is axes[-1] else "")
        axis.set_ylabel("signal to noise, dB" if width > 5 or len(names) < 3 else "dB")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(axis="y")
        axis.margins(y=0.25)
    add_caption(figure, source_of(frame), "Named: the first layers where it drops")
    return figure
