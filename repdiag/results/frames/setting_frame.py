"""From the table of a comparison to the frame of metrics against a training setting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.core.metric_table import MetricTable, untrained_name
from repdiag.results.frames.table_frames import frame_of, headline_record, headline_row
from repdiag.results.headlines import HEADLINES

if TYPE_CHECKING:
    import pandas as pd

# What the papers hold against a setting: is it any good, does it overfit, how do the classes lie.
METRICS = (
    *("knn_accuracy", "pretext_gap", "uniformity"),
    *("intra_class_distance", "class_distance_ratio", "granularity"),
)


def setting_frame(
    table: MetricTable,
    varied: str,
    *,
    settings: tuple[str, ...],
    space: str = "features",
    split: str = "val",
) -> pd.DataFrame:
    """Return the frame of the figure `setting_curves`; checkpoints are named by the setting's values.

    Untrained copies follow their originals. What was not analyzed is left out.
    """
    from repdiag.results.frames.columns import SETTING_CURVES as COLUMNS

    records = []
    for headline in (line for name in METRICS for line in HEADLINES if line.metric == name):
        for setting in settings:
            for name in (setting, untrained_name(setting)):
                row = headline_row(table, headline, checkpoint=name, space=space, split=split)
                if row is not None:
                    named = {"checkpoint": name, "varied": varied, "setting": setting}
                    records.append(headline_record(row, headline) | named)
    return frame_of(records, COLUMNS)
