"""What `repdiag train --monitor` evaluates, and the frame of its figure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable


def measure(val: EmbeddingSet, train: EmbeddingSet) -> MetricTable:
    """Return the metrics that are followed over a training."""
    from repdiag.integrations.monitor import METRICS
    from repdiag.metrics.evaluate import evaluate

    return evaluate(val, METRICS, bank=train)


def trajectory_frame(tables: Sequence[Path], *, name: str) -> pd.DataFrame:
    """Return the frame of the figure `training_trajectory` from a run's files, one an epoch."""
    import pandas as pd

    from repdiag.core.metric_table import MetricTable
    from repdiag.integrations.monitor import METRICS
    from repdiag.plots.training_trajectory import COLUMNS
    from repdiag.report.frames import frame_of, headline_record, headline_row
    from repdiag.report.headlines import HEADLINES

    records = []
    for path in tables:
        table = MetricTable.from_frame(pd.read_csv(path))
        for headline in (line for metric in METRICS for line in HEADLINES if line.metric == metric):
            row = headline_row(table, headline, space="features", split="val")
            if row is not None:
                records.append(headline_record(row, headline) | {"checkpoint": name, "epoch": row.epoch})
    return frame_of(records, COLUMNS)
