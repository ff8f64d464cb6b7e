"""The table and the figure of the study: kNN accuracy of each method, over its seeds, beside the untrained encoder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def write_results(records: Sequence[dict[str, Any]], out: Path, *, k: int) -> None:
    """Write runs.csv, methods.md and the figure; print the table."""
    import pandas as pd

    from repdiag.plots.save import save_figure

    frame = pd.DataFrame(records)
    write_text(out / "runs.csv", frame.to_csv(index=False, lineterminator="\n"))
    text = table(frame)
    write_text(out / "methods.md", text)
    save_figure(seed_dots(frame, k=k), frame, out / "figures", name="methods")
    print(f"\n{text}\nfigure: {out / 'figures' / 'methods.png'}")


def table(frame: pd.DataFrame) -> str:
    """Return one line a method in Markdown: mean and range over seeds, and the gain of each run over its own start."""
    lines = [
        "| method | untrained | trained: mean (lowest to highest) | gain in points: mean (lowest) |",
        "|---|---|---|---|",
    ]
    for method, rows in frame.groupby("method", sort=False):
        gain = 100 * (rows["trained"] - rows["untrained"])
        trained, before = 100 * rows["trained"], 100 * rows["untrained"]
        lines.append(
            f"| `{method}` | {before.mean():.1f} % "
            f"| {trained.mean():.1f} % ({trained.min():.1f} to {trained.max():.1f}) "
            f"| {gain.mean():+.1f} ({gain.min():+.1f}) |"
        )
    return "\n".join(lines) + "\n"


def seed_dots(frame: pd.DataFrame, *, k: int) -> Figure:
    """Draw one line a method: a dot for each seed, hollow where untrained, and the mean."""
    from matplotlib.ticker import PercentFormatter

    from repdiag.plots.palette import checkpoint_styles
    from repdiag.plots.style import ONE_COLUMN, panels, repdiag_style
    from repdiag.plots.text import add_caption

    methods = list(dict.fromkeys(frame["method"]))
    styles = checkpoint_styles(["trained", "untrained"], untrained=("untrained",))
    with repdiag_style():
        figure, (axis,) = panels(1, width=1.5 * ONE_COLUMN, panel_height=0.6 + 0.27 * len(methods))
        for name in ("untrained", "trained"):
            style = styles[name]
            for height, method in enumerate(methods):
                values = frame.loc[frame["method"] == method, name]
                axis.plot(
                    values,
                    [height] * len(values),
                    linestyle="none",
                    marker=style.marker,
                    color=style.color,
                    markerfacecolor=style.face,
                    markersize=4,
                    label=name if height == 0 else None,
                )
                axis.plot([values.mean()] * 2, [height - 0.3, height + 0.3], color=style.color, linewidth=1)
        axis.set_yticks(range(len(methods)), methods)
        axis.invert_yaxis()
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axis.set_xlabel(f"kNN accuracy, k = {k}")
        axis.grid(axis="x")
        axis.legend(loc="best")
        seeds = frame["seed"].nunique()
        add_caption(figure, f"{frame['dataset'].iloc[0]}, {seeds} seeds; line: mean", "Hollow: the same encoder before")
    return figure
