"""How a training went: loss, contrast accuracy and learning rate over the epochs."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.TRAINING_HISTORY
_PANELS = {"loss": "Loss", "contrast_accuracy": "Contrast accuracy", "lr": "Learning rate"}


@styled
def training_history(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per quantity, one line per training.

    Columns:
        checkpoint         str      name of the training
        epoch              int      finished epochs
        loss               float    mean over the epoch, nats
        contrast_accuracy  float    share of views that find their positive, fraction; null where there is no queue
        lr                 float    learning rate at the end of the epoch
        step               int      optional: optimiser steps, then the horizontal axis (several rows an epoch)
        dataset            str      optional, for the caption
        n                  int      optional, training images, for the caption
    """
    require(frame, COLUMNS, figure="training_history")
    names = distinct(frame, "checkpoint")
    styles = checkpoint_styles(names)
    shown = short_names(names, limit=26)
    across = "step" if "step" in frame else "epoch"
    present = [column for column in _PANELS if frame[column].notna().any()]
    figure, axes = panels(len(present), width=width, panel_height=1.7, columns=3 if width > 5 else 2)
    for axis, column in zip(axes, present, strict=True):
        for name in names:
            rows = frame[frame["checkpoint"].astype(str) == name]
            style = styles[name]
            axis.plot(rows[across], rows[column], color=style.color, linestyle=style.line, label=shown[name])
        _dress(axis, column, across=across)
    if len(names) > 1:
        add_legend(figure, axes[0].get_legend_handles_labels()[0], columns=3 if width > 5 else 1)
    absent = [label.lower() for column, label in _PANELS.items() if column not in present]
    note = f"Not recorded: {', '.join(absent)}" if absent else ""
    add_caption(figure, names[0] if len(names) == 1 else "", source_of(frame), note)
    return figure


def _dress(axis: Axes, column: str, *, across: str) -> None:
    axis.set_title(_PANELS[column])
    axis.set_xlabel(across)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axis.grid(axis="y")
    axis.margins(x=0.02)
    if column == "contrast_accuracy":
        axis.set_ylim(0, 1)
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    else:
        axis.set_ylabel("nats" if column == "loss" else "")
        axis.set_ylim(bottom=0 if column == "lr" else None)
