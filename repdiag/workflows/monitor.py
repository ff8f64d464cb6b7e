"""What `repdiag train --monitor` evaluates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.results.headlines import MONITORED

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable


def measure(val: EmbeddingSet, train: EmbeddingSet) -> MetricTable:
    """Return the metrics that are followed over a training."""
    from repdiag.metrics.evaluate import evaluate

    return evaluate(val, MONITORED, bank=train)
