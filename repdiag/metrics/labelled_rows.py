"""Which rows a metric is given: all of them, or the labelled ones where it looks at classes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.metrics.effort import current_effort
from repdiag.metrics.inference.resampling import Rows
from repdiag.metrics.registry import Metric

# What is evaluated beside the defaults where rows have several labels each.
OF_SEVERAL_LABELS = ("multilabel_map", "multilabel_knn", "multilabel_probe")
CLUSTERED_OF_CLASS = 40
_SEVERAL = " of one class a row; these rows have several each"


class LabelledRows:
    """A set, its bank and its second encoder, with and without their unlabelled rows; each cut once."""

    def __init__(self, embeddings: EmbeddingSet, *, bank: EmbeddingSet | None, other: EmbeddingSet | None) -> None:
        self._whole = embeddings
        self._bank, self._other = bank, other
        mask = embeddings.labelled_rows()
        self._rows = None if mask is None else mask.nonzero().flatten()
        self._labelled = embeddings if self._rows is None else embeddings.select(self._rows)
        self._labelled_bank = None if bank is None else labelled(bank)
        self._labelled_other = other if self._rows is None or other is None else other.select(self._rows)

    def for_metric(self, metric: Metric) -> tuple[EmbeddingSet, EmbeddingSet | None, Tensor | None]:
        """Return the set, the second set and the rows [K] that a metric is given; None for all rows."""
        of_classes = "labels" in metric.needs  # what they only make surer is asked of all rows
        if not of_classes:
            second = {"bank": self._bank, "other": self._other}.get(metric.second or "")
            return self._whole, second, None
        second = {"bank": self._labelled_bank, "other": self._labelled_other}.get(metric.second or "")
        if metric.interval == "seeds":
            sampled, chosen = self._clustered
            return sampled, second, chosen
        return self._labelled, second, self._rows

    @cached_property
    def _clustered(self) -> tuple[EmbeddingSet, Tensor | None]:
        """The rows that are clustered: a part of every class where all of them would take hours."""
        chosen = clustered_rows(self._labelled)
        if chosen is None:
            return self._labelled, self._rows
        return self._labelled.select(chosen), chosen if self._rows is None else self._rows[chosen]


def clustered_rows(embeddings: EmbeddingSet) -> Tensor | None:
    """Return the rows of a large set that are clustered, class by class the same share of them; None for all.

    A half, a third, ... of the rows: the most that cost no more products a cluster and class than the effort allows,
    and at least `CLUSTERED_OF_CLASS` rows a class in the mean.
    """
    if embeddings.labels is None or embeddings.features is None:
        return None
    classes = len(torch.unique(embeddings.labels))
    dims = embeddings.features.shape[1]
    most = max(CLUSTERED_OF_CLASS * classes, current_effort().clustered // max(1, classes * dims))
    share = -(-len(embeddings) // most)
    if share < 2:
        return None
    part = Rows(count=len(embeddings), labels=embeddings.labels).dealt(share, seed=0) == 0
    return torch.from_numpy(np.flatnonzero(part)).to(embeddings.labels.device)


def labelled(embeddings: EmbeddingSet) -> EmbeddingSet:
    """Return the set without its unlabelled rows; the set itself where it has none."""
    mask = embeddings.labelled_rows()
    return embeddings if mask is None else embeddings.select(mask)


def several_labels(embeddings: EmbeddingSet, missing: tuple[str, ...]) -> str:
    """Return what to add where labels are missing because rows have several: nothing otherwise."""
    return _SEVERAL if "labels" in missing and embeddings.label_matrix is not None else ""
