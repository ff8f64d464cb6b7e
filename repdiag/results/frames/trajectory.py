"""The frames of a training's own figures: its history, and the course of what was monitored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def trajectory_frame(tables: Sequence[Path], *, name: str) -> pd.DataFrame:
    """Return the frame of the figure `training_trajectory` from a run's files, one an epoch."""
    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.results.frames.columns import TRAINING_TRAJECTORY as COLUMNS
    from repdiag.results.frames.table_frames import frame_of, headline_record, headline_row
    from repdiag.results.headlines import HEADLINES, MONITORED

    records = []
    for path in tables:
        table = MetricTable.from_frame(pd.read_csv(path))
        for headline in (line for metric in MONITORED for line in HEADLINES if line.metric == metric):
            row = headline_row(table, headline, space="features", split="val")
            if row is not None:
                records.append(headline_record(row, headline) | {"checkpoint": name, "epoch": row.epoch})
    return frame_of(records, COLUMNS)


def training_frames(run: Path, *, name: str, dataset: str) -> dict[str, pd.DataFrame]:
    """Return the frames of a training: `training_history` and, where it was monitored, `training_trajectory`."""
    frames = {}
    if (history := run / "history.csv").is_file():
        frames["training_history"] = history_frame(history, name=name, dataset=dataset)
    if tables := sorted((run / "monitor").glob("epoch_*.csv")):
        frames["training_trajectory"] = trajectory_frame(tables, name=name)
    return frames


def history_frame(path: Path, *, name: str, dataset: str) -> pd.DataFrame:
    """Return the history of one of our runs, one row an epoch; columns of `training_history`."""
    import pandas as pd

    rows = pd.read_csv(path)
    means = {name: "mean" for name in ("loss", "contrast_accuracy") if name in rows}
    frame = rows.groupby("epoch", as_index=False).agg({**means, "lr": "last"})
    frame["epoch"] += 1  # the file counts from 0, the figure counts finished epochs
    if "contrast_accuracy" not in frame:
        frame["contrast_accuracy"] = None
    return frame.assign(checkpoint=name, dataset=dataset)
