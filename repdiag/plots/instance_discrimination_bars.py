"""Does the encoder recognise its training images better than unseen ones? Train against val, top 1 to 5."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import BLUE, VERMILLION
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.INSTANCE_DISCRIMINATION_BARS
_TRAIN, _OTHER = (VERMILLION, ""), (BLUE, "////")
_WIDTH = 0.38


@styled
def instance_discrimination_bars(
    frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS
) -> Figure:
    """Draw one panel per trained checkpoint, a bar for each k and split; the gap at the smallest k in the title.

    Columns:
        checkpoint       str    one panel each
        dataset          str    for the caption
        split            str    "train" and "val", galleries of equal size; or the one that vectors come from
        k                int    top-k
        value            float  accuracy, fraction; null where it could not be computed
        ci_low, ci_high  float  interval of the value, fraction; null where there is none
        n                int    images in the gallery
        gap, gap_low, gap_high  float  optional: train minus val at the smallest k with its interval, fraction
        space, pair      str    optional, for the caption
        reason           str    optional, why a value is null
    """
    require(frame, COLUMNS, figure="instance_discrimination_bars")
    trained = frame[~frame["checkpoint"].astype(str).isin(untrained)]
    frame = frame if trained.empty else trained  # what was not trained has no training images to recognise
    names = distinct(frame, "checkpoint")
    figure, axes = panels(len(names), width=width, panel_height=1.85)
    shown = {name: textwrap.fill(text, 18) for name, text in short_names(names, limit=34).items()}
    columns = axes[0].get_gridspec().ncols  # type: ignore[union-attr]
    splits = sorted(distinct(frame, "split"), key=lambda split: split != "train")
    highest = frame[["value", "ci_high"]].max().max()
    for number, (axis, name) in enumerate(zip(axes, names, strict=True)):
        rows = frame[frame["checkpoint"].astype(str) == name]
        _draw(axis, rows, splits=splits)
        axis.set_ylim(0, 1 if np.isnan(highest) else min(1, max(0.05, 1.08 * highest)))  # one scale, from zero, for all
        gap = _gap(rows)
        axis.set_title(shown[name], pad=12 if gap else None)
        axis.text(0, 1.03, gap, transform=axis.transAxes, size=6)
        axis.set_ylabel("accuracy" if number % columns == 0 else "")
        axis.set_xlabel("top-k" if number + columns >= len(names) else "")
    add_legend(figure, axes[0].get_legend_handles_labels()[0], columns=2)
    pair = f"Pair: {', '.join(distinct(frame, 'pair'))}" if "pair" in frame else ""
    whiskers = "Whiskers: 95 % intervals; pt: percentage points" if frame["ci_low"].notna().any() else ""
    add_caption(figure, source_of(frame), pair, whiskers, missing_note(frame, "value", by=("checkpoint", "split")))
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, splits: list[str]) -> None:
    ks = sorted(set(rows["k"]))
    at = np.arange(len(ks))
    step = 0.8 / max(2, len(splits))  # a single bar stands in the middle, two of them side by side
    for number, split in enumerate(splits):
        side = step * (number - (len(splits) - 1) / 2)
        color, hatch = _TRAIN if split == "train" else _OTHER
        part = rows[rows["split"] == split].set_index("k").reindex(ks)
        value = part["value"].to_numpy(dtype=float)
        axis.bar(at + side, value, min(_WIDTH, 0.95 * step), color=color, hatch=hatch, edgecolor="white", label=split)
        low, high = (part[name].to_numpy(dtype=float) for name in ("ci_low", "ci_high"))
        axis.errorbar(
            at + side, value, np.vstack([value - low, high - value]), fmt="none", ecolor="black", elinewidth=0.7
        )
        for place in at[np.isnan(value)]:
            axis.text(place + side, 0.02, "n/a", ha="center", va="bottom", rotation=90, size=5.5, color="#666666")
    axis.set_xticks(at, [str(k) for k in ks])
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axis.grid(axis="y")
    axis.tick_params(axis="x", length=0)


def _gap(rows: pd.DataFrame) -> str:
    if "gap" not in rows or rows["gap"].isna().all():
        return ""
    first = rows.dropna(subset=["gap"]).iloc[0]
    text = f"gap {100 * first['gap']:+.1f} pt"
    if "gap_low" in rows and pd.notna(first["gap_low"]):
        text += f" [{100 * first['gap_low']:+.1f}, {100 * first['gap_high']:+.1f}]"
    return text
