"""How does the representation change while it is trained? Headline metrics over epochs."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from repdiag.plots.banded_line import banded_line
from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, missing_note, short_names, source_of
from repdiag.results.frames import columns
from repdiag.results.headlines import ARROWS

COLUMNS = columns.TRAINING_TRAJECTORY


@styled
def training_trajectory(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per metric, one line per training, with its interval as a band.

    Columns:
        checkpoint       str    name of the training
        epoch            int    finished epochs
        dataset, split, space  str  for the caption
        metric           str    one panel each
        label            str    title of the panel
        percent          bool   whether the value is a fraction, shown in percent
        value            float  in the unit of the metric; null where it could not be computed
        ci_low, ci_high  float  interval of the value; null where there is none
        n                int    images
    """
    require(frame, COLUMNS, figure="training_trajectory")
    names, metrics = distinct(frame, "checkpoint"), distinct(frame, "metric")
    styles, shown = checkpoint_styles(names), short_names(names, limit=26)
    figure, axes = panels(
        len(metrics), width=width, panel_height=1.7 if width > 5 else 1.3, columns=3 if width > 5 else 2
    )
    for axis, metric in zip(axes, metrics, strict=True):
        part = frame[frame["metric"] == metric]
        for name in names:
            rows = part[part["checkpoint"].astype(str) == name].sort_values("epoch")
            banded_line(axis, rows, across="epoch", low="ci_low", high="ci_high", style=styles[name], label=shown[name])
        axis.set_title(
            textwrap.fill(f"{part['label'].iloc[0]} {ARROWS.get(metric, '')}".strip(), 26 if width > 5 else 22)
        )
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.yaxis.set_major_locator(MaxNLocator(4))
        if bool(part["percent"].iloc[0]):
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
        axis.grid(axis="y")
    if len(names) > 1:
        add_legend(figure, axes[0].get_legend_handles_labels()[0], columns=3 if width > 5 else 1)
    bands = "Bands: 95 % intervals" if frame["ci_low"].notna().any() else ""
    add_caption(
        figure,
        names[0] if len(names) == 1 else "",
        source_of(frame),
        bands,
        missing_note(frame, "value", by=("checkpoint", "metric")),
    )
    return figure
