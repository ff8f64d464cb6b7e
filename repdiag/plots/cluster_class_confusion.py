"""Which classes fall into which clusters? Shares of each class in the clusters of k-means, as a heat map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import PercentFormatter

from repdiag.plots.frame_check import distinct, require
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption, short_names, source_of
from repdiag.results.frames import columns

COLUMNS = columns.CLUSTER_CLASS_CONFUSION
_MOST_TICKS = 26
_MOST_NUMBERS = 12


@styled
def cluster_class_confusion(frame: pd.DataFrame, *, width: float = TWO_COLUMNS) -> Figure:
    """Draw one panel per checkpoint: rows are classes, columns clusters, shade the share of the class.

    Classes and clusters stand in the order of the frame; the frame orders clusters by their majority class, so that
    good clusterings show a dark diagonal.

    Columns:
        checkpoint  str    one panel each
        dataset, split, space  str  for the caption
        cluster     int    id of the cluster
        class_name  str    name of the class
        count       int    images of the class in the cluster
        share       float  count over the images of the class, fraction
        n           int    images
    """
    require(frame, COLUMNS, figure="cluster_class_confusion")
    names = distinct(frame, "checkpoint")
    columns = min(len(names), 2 if width < 5 and len(names) > 1 else 3 if width > 5 else 1)
    figure, axes = panels(
        len(names),
        width=width,
        panel_height=min(2.9, width / columns + 0.2, 4.2 / -(-len(names) // columns) if width < 5 else 9),
        columns=columns,
    )
    shown = short_names(names, limit=24 if width / columns > 2 else 12)
    image: AxesImage | None = None
    for number, (axis, name) in enumerate(zip(axes, names, strict=True)):
        rows = frame[frame["checkpoint"].astype(str) == name]
        image = _draw(axis, rows, numbers=width / columns > 1.9)
        axis.set_title(shown[name])
        same = distinct(rows, "class_name") == distinct(frame, "class_name")
        if number % columns and same:
            axis.set_yticklabels([])
        axis.set_ylabel("class" if number % columns == 0 else "")
        label = "cluster, by its most common class" if width / columns > 2 else "cluster"
        axis.set_xlabel(label if number + columns >= len(names) else "")
    if image is not None:
        bar = figure.colorbar(
            image, ax=axes, shrink=min(0.8, 1.6 / figure.get_figheight()), pad=0.01, label="share of the class"
        )
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
        bar.outline.set_visible(False)
    meaning = "As many clusters as classes, each named by its most common class. A dark diagonal means agreement"
    add_caption(figure, source_of(frame), meaning, "Numbers: percent of the class")
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, *, numbers: bool) -> AxesImage:
    classes, clusters = distinct(rows, "class_name"), distinct(rows, "cluster")
    row_of, column_of = ({name: at for at, name in enumerate(names)} for names in (classes, clusters))
    shares = np.zeros((len(classes), len(clusters)))
    for name, cluster, share in zip(rows["class_name"], rows["cluster"], rows["share"], strict=True):
        shares[row_of[str(name)], column_of[str(cluster)]] = share
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for spine in axis.spines.values():
        spine.set_visible(False)
    step = -(-len(classes) // _MOST_TICKS)
    shown = short_names(classes, limit=14)
    axis.set_yticks(range(0, len(classes), step), [shown[name] for name in classes[::step]])
    named = [shown[classes[at]] for at in shares.argmax(axis=0)]
    axis.set_xticks(range(0, len(clusters), step), named[::step], rotation=60, ha="right", rotation_mode="anchor")
    axis.tick_params(length=0)
    if numbers and max(shares.shape) <= _MOST_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                color = "white" if share > 0.55 else "black"
                axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", size=5.5, color=color)
    return image
