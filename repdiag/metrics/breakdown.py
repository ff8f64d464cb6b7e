"""The parts behind the values of one evaluation, as tidy frames: one row a class, or one row an image."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.metric_table import MetricRow
from repdiag.metrics.evaluate import Evaluation
from repdiag.metrics.registry import get

if TYPE_CHECKING:
    import pandas as pd

_WHERE = ("checkpoint", "dataset", "split", "space", "metric", "version")
CLASS_COLUMNS = (*_WHERE, "params", "class_name", "value", "n")
ROW_COLUMNS = (*_WHERE, "params", "class_name", "row_id", "value")


def class_frame(evaluation: Evaluation, embeddings: EmbeddingSet) -> pd.DataFrame:
    """Return one row a class for every value that decomposes over classes.

    Columns: checkpoint, dataset, split, space, metric, version, params (JSON), class_name, value, n (rows).
    Metrics of queries (retrieval, kNN) are averaged over the queries of each class; others come as the metric gave
    them. A class without a value (a single image has no distances) is null.
    """
    import pandas as pd

    return pd.DataFrame.from_records(list(_class_records(evaluation, embeddings)), columns=list(CLASS_COLUMNS))


def row_frame(evaluation: Evaluation, embeddings: EmbeddingSet) -> pd.DataFrame:
    """Return one row an image for every value that decomposes over rows: columns as `class_frame`, with row_id."""
    import pandas as pd

    frames = []
    classes = class_names_of(embeddings)
    for number, parts in evaluation.per_row.items():
        if len(parts) == len(embeddings):
            place = _place(evaluation.rows[number])
            values = {"class_name": classes, "row_id": embeddings.row_ids, "value": parts.double().cpu().numpy()}
            frame = pd.DataFrame({**place, **values})
            frames.append(frame[frame["value"].notna()])  # a row that is alone in its class has no retrieval
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(ROW_COLUMNS))


def class_names_of(embeddings: EmbeddingSet) -> list[str] | None:
    """Return the name of every row's class, its number where classes have no names; None without labels."""
    if embeddings.labels is None:
        return None
    rows = embeddings.labelled_rows()
    known = [True] * len(embeddings) if rows is None else rows.tolist()
    labels = zip(embeddings.labels.tolist(), known, strict=True)
    return [embeddings.class_name(label) if is_known else "" for label, is_known in labels]


def _class_records(evaluation: Evaluation, embeddings: EmbeddingSet) -> Iterator[dict[str, Any]]:
    if embeddings.labels is None:
        return
    rows = embeddings.labelled_rows()
    given = embeddings.labels.cpu() if rows is None else embeddings.labels[rows].cpu()
    labels, places, counts = torch.unique(given, return_inverse=True, return_counts=True)
    names = [embeddings.class_name(label) for label in labels.tolist()]
    for number, row in enumerate(evaluation.rows):
        values = evaluation.per_class.get(number)
        if values is None:
            parts = evaluation.per_row.get(number)
            if parts is not None and rows is not None and len(parts) == len(rows):
                parts = parts[rows]
            values = _query_means(row, parts, places, counts)
        if values is None or len(values) != len(names):
            continue
        for name, value, count in zip(names, values.tolist(), counts.tolist(), strict=True):
            finite = value if np.isfinite(value) else None
            yield {**_place(row), "class_name": name, "value": finite, "n": count}


def _query_means(row: MetricRow, parts: Tensor | None, places: Tensor, counts: Tensor) -> Tensor | None:
    if parts is None or len(parts) != len(places) or get(row.metric).interval not in {"per_query", "halves"}:
        return None
    values = parts.double().cpu()
    known = ~values.isnan()
    sums, asked = torch.zeros(2, len(counts), dtype=torch.float64)
    sums.index_add_(0, places[known], values[known])
    asked.index_add_(0, places[known], torch.ones_like(values[known]))
    means: Tensor = sums / asked
    return means


def _place(row: MetricRow) -> dict[str, Any]:
    return {**{name: getattr(row, name) for name in _WHERE}, "params": json.dumps(dict(row.params), sort_keys=True)}
