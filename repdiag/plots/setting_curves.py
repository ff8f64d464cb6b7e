"""What does a setting do to the representation? Each headline metric over the values of one training setting."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import CheckpointStyle, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.SETTING_CURVES


@styled
def setting_curves(frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per metric over the setting's values, evenly spaced in the order of the frame.

    Trained encoders are joined by a line where the values are numbers: categories have no way between them. Untrained
    ones are hollow, at the setting whose encoder they copy.

    Columns:
        checkpoint       str    one point each in every panel
        varied           str    name of the setting, the axis title
        setting          str    its value for this checkpoint
        dataset, split, space  str  for the caption
        metric           str    one panel each
        label            str    title of the panel
        percent          bool   whether the value is a fraction, shown in percent
        value            float  in the unit of the metric; null where it could not be computed
        ci_low, ci_high  float  interval of the value; null where there is none
        n                int    images
    """
    require(frame, COLUMNS, figure="setting_curves")
    metrics, settings = distinct(frame, "metric"), distinct(frame, "setting")
    styles = checkpoint_styles(["trained", "untrained"], untrained=("untrained",))
    columns = 3 if width > 5 else 2
    figure, axes = panels(len(metrics), width=width, panel_height=1.75 if width > 5 else 1.35, columns=columns)
    shown = short_names(settings, limit=18)
    joined = all(_is_number(setting) for setting in settings)
    is_untrained = frame["checkpoint"].astype(str).isin(untrained)
    for number, (axis, metric) in enumerate(zip(axes, metrics, strict=True)):
        of_metric = frame["metric"] == metric
        for name, chosen in (("untrained", is_untrained), ("trained", ~is_untrained)):
            _draw(axis, frame[of_metric & chosen], settings=settings, style=styles[name], joined=joined)
        first = frame[of_metric].iloc[0]
        axis.set_title(textwrap.fill(str(first["label"]), 26))
        if bool(first["percent"]):
            axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=None, symbol=" %"))
        _dress(axis, [shown[name] for name in settings], is_last_row=number >= len(metrics) - columns)
        if number >= len(metrics) - columns:
            axis.set_xlabel(textwrap.fill(str(first["varied"]), 30))
    intervals = "Bars: 95 % intervals over the images of one run" if frame["ci_low"].notna().any() else ""
    hollow = "Hollow: the untrained copy" if is_untrained.any() else ""
    gaps = missing_note(frame, "value", by=("checkpoint", "metric"))
    add_caption(figure, source_of(frame), intervals, hollow, gaps)
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, settings: list[str], style: CheckpointStyle, joined: bool) -> None:
    rows = rows.dropna(subset=["value"])
    if rows.empty:
        return
    x = np.array([settings.index(str(name)) for name in rows["setting"]])
    y = rows["value"].to_numpy(float)
    around = np.nan_to_num(np.stack([y - rows["ci_low"].to_numpy(float), rows["ci_high"].to_numpy(float) - y]))
    axis.errorbar(
        x,
        y,
        yerr=np.maximum(around, 0.0),
        fmt=style.marker,
        color=style.color,
        markerfacecolor=style.face,
        markersize=4,
        elinewidth=1,
        linestyle="-" if style.trained and joined else "none",
        linewidth=0.9,
        zorder=3 if style.trained else 2,
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _dress(axis: Axes, settings: list[str], *, is_last_row: bool) -> None:
    turned = sum(map(len, settings)) > 22
    axis.set_xticks(
        range(len(settings)),
        settings if is_last_row else [],
        rotation=35 if turned else 0,
        ha="right" if turned else "center",
        rotation_mode="anchor",
    )
    axis.set_xlim(-0.5, len(settings) - 0.5)
    axis.yaxis.set_major_locator(MaxNLocator(4))
    axis.margins(y=0.12)
    axis.grid(axis="y")
