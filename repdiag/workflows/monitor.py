"""What `repdiag train --monitor` evaluates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.results.headlines import HEADLINES, MONITORED

if TYPE_CHECKING:
    from collections.abc import Callable

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable


def measure(val: EmbeddingSet, train: EmbeddingSet) -> MetricTable:
    """Return the metrics that are followed over a training."""
    from repdiag.metrics.evaluate import evaluate

    return evaluate(val, MONITORED, bank=train)


def telling(tell: Callable[[str], None]) -> Callable[[EmbeddingSet, EmbeddingSet], MetricTable]:
    """Return `measure` with a line for people about every epoch: "after epoch 3: kNN accuracy, k = 20: 71.7 %; ..."."""

    def measured(val: EmbeddingSet, train: EmbeddingSet) -> MetricTable:
        table = measure(val, train)
        tell(f"after epoch {val.provenance.epoch}: {monitored_line(table)}")
        return table

    return measured


def monitored_line(table: MetricTable) -> str:
    """Return the followed metrics of one look in one line."""
    from repdiag.core.numbers import show_value
    from repdiag.results.frames.table_frames import headline_row

    said = []
    for headline in HEADLINES:
        row = headline_row(table, headline, space="features", split="val") if headline.metric in MONITORED else None
        if row is not None and row.value is not None:
            said.append(f"{headline.label}: {show_value(row.value, percent=headline.percent)}")
    return "; ".join(said)
