"""Every predictor and target at once: a dot for each Spearman correlation, a line for its interval."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from analyses.does_diagnosis_predict.reading import SIZE, Prediction, table
from repdiag.plots.palette import GREY, checkpoint_styles
from repdiag.plots.save import save_figure
from repdiag.plots.style import TWO_COLUMNS, panels, styled
from repdiag.plots.text import add_caption


def draw(found: Sequence[Prediction], out: Path, *, encoders: int) -> None:
    frame = pd.DataFrame([vars(one) for one in found])
    save_figure(predictors_by_target(frame, order=list(table(found)["predictor"]), encoders=encoders), frame, out,
                name="does_diagnosis_predict")  # fmt: skip


@styled
def predictors_by_target(frame: pd.DataFrame, *, order: Sequence[str], encoders: int) -> Figure:
    targets = list(dict.fromkeys(frame["target"]))
    figure, axes = panels(len(targets), width=TWO_COLUMNS, panel_height=0.5 + 0.11 * len(order), columns=3)
    styles = checkpoint_styles(targets)
    for number, (axis, target) in enumerate(zip(axes, targets, strict=True)):
        rows = frame[frame["target"] == target].set_index("predictor")
        for place, name in enumerate(order):
            if name not in rows.index:
                continue
            row, color = rows.loc[name], GREY if name == SIZE else styles[target].color
            if pd.notna(row["low"]):
                axis.plot([row["low"], row["high"]], [place, place], color=color, linewidth=1.2)
            axis.plot([row["rho"]], [place], marker="o", color=color, markersize=3)
        if SIZE in rows.index:
            axis.axvline(rows.loc[SIZE, "rho"], color=GREY, linewidth=0.7, linestyle=(0, (2, 2)), zorder=0)
        axis.axvline(0.0, color="black", linewidth=0.5, zorder=0)
        axis.set_ylim(len(order) - 0.4, -0.6)
        axis.set_yticks(range(len(order)), [name.replace("_", " ") for name in order] if number % 3 == 0 else [])
        axis.tick_params(axis="y", labelsize=5)
        axis.set_xlim(-1, 1)
        axis.set_title(target)
        axis.set_xlabel("Spearman, right is as claimed" if number >= len(targets) - 3 else "")
    add_caption(figure, f"{encoders} encoders", "Lines: 95% intervals", "Grey and dashed: the number of parameters")
    return figure
