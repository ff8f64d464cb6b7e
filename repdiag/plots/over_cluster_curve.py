"""At which number of clusters do the classes show best? Clusterings from coarse to fine against the labels."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator, PercentFormatter

from repdiag.plots.banded_line import banded_line
from repdiag.plots.frame_check import distinct, require
from repdiag.plots.palette import CheckpointStyle, checkpoint_styles
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, add_legend, missing_note, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.OVER_CLUSTER_CURVE
_LABELS = {
    "kmeans_purity": "Purity",
    "ami": "AMI (corrected for chance)",
    "homogeneity": "Homogeneity",
    "completeness": "Completeness",
    "nmi": "NMI",
    "ari": "ARI (corrected for chance)",
    "v_measure": "V-measure",
    "fowlkes_mallows": "Fowlkes-Mallows",
}


@styled
def over_cluster_curve(frame: pd.DataFrame, *, untrained: tuple[str, ...] = (), width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per metric, one line per checkpoint, over K / C on a log axis; K = C is marked.

    Columns:
        checkpoint   str    one line each
        dataset, split, space  str  for the caption
        metric       str    one panel each: kmeans_purity, ami, homogeneity, completeness, ...
        clusters     int    K, number of clusters
        ratio        float  K / C, clusters per class
        value        float  mean over the seeds, fraction; null where it could not be computed
        low, high    float  spread over the seeds, fraction; null where there is one seed
        n            int    images
        granularity  float  optional: clusters per class at which AMI peaks, drawn on the AMI panel; null if unknown
        reason       str    optional, why a value is null
    """
    require(frame, COLUMNS, figure="over_cluster_curve")
    names = distinct(frame, "checkpoint")
    metrics = distinct(frame, "metric")
    figure, axes = panels(len(metrics), width=width, panel_height=1.75 if width > 5 else 1.4, columns=2)
    styles = checkpoint_styles(names, untrained=untrained)
    shown = short_names(names, limit=28)
    for axis, metric in zip(axes, metrics, strict=True):
        part = frame[frame["metric"] == metric]
        for name in names:
            rows = part[part["checkpoint"].astype(str) == name].sort_values("ratio")
            banded_line(axis, rows, across="ratio", low="low", high="high", style=styles[name], label=shown[name])
            if metric == "ami":
                _granularity(axis, rows, style=styles[name])
        axis.set_title(textwrap.fill(_LABELS.get(metric, metric.replace("_", " ")), 26 if width > 5 else 16))
        _dress(axis, part)
    for axis in axes[-(axes[0].get_gridspec().ncols) :]:  # type: ignore[union-attr]
        axis.set_xlabel("clusters per class, K / C")
    add_legend(figure, axes[0].get_legend_handles_labels()[0], columns=3 if width > 5 else 1)
    band = "Bands: spread over k-means seeds" if frame["low"].notna().any() else ""
    has_peak = "granularity" in frame and frame["granularity"].notna().any()
    peak = "Triangle: granularity, where AMI peaks" if has_peak else ""
    gaps = missing_note(frame, "value", by=("checkpoint", "metric"))
    add_caption(figure, source_of(frame), "Dashed vertical: one cluster per class", band, peak, gaps)
    return figure


def _granularity(axis: Axes, rows: pd.DataFrame, *, style: CheckpointStyle) -> None:
    if "granularity" not in rows or rows["granularity"].isna().all():
        return
    at = float(rows["granularity"].dropna().iloc[0])
    axis.plot(
        [at],
        [0.0],
        marker="^",
        markersize=6,
        color=style.color,
        markerfacecolor=style.face,
        transform=axis.get_xaxis_transform(),
        clip_on=False,
        zorder=5,
        linestyle="",
    )


def _dress(axis: Axes, part: pd.DataFrame) -> None:
    axis.set_xscale("log", base=2)
    ticks = sorted(set(part["ratio"].astype(float)))
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axis.axvline(1.0, color="#444444", linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)
    axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axis.set_ylim(min(0.0, float(part["value"].min(skipna=True)) if part["value"].notna().any() else 0.0), 1)
    axis.grid(axis="y")
