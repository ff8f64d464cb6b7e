"""The rows that two encoders have in common, or as many of each class where these are too few."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.diagnosis.galleries import common_galleries

_SHARED = 0.9  # share of the smaller set's rows that both must hold to be compared row by row


def common_rows(first: EmbeddingSet, second: EmbeddingSet) -> tuple[EmbeddingSet, EmbeddingSet] | None:
    """Return both sets with the rows that both hold, in the order of the first; None where these are too few.

    Raises `MetricError` where a set has no labels, or where one image has two of them.
    """
    if first.labels is None or second.labels is None:
        raise MetricError("encoders are compared by their classes", found="rows without labels")
    shared, its, others = np.intersect1d(ids(first), ids(second), assume_unique=False, return_indices=True)
    if len(shared) < _SHARED * min(len(first), len(second)):
        return None
    order = np.argsort(its)
    sides = _selected(first, its[order]), _selected(second, others[order])
    assert sides[0].labels is not None
    assert sides[1].labels is not None
    differing = int(torch.ne(sides[0].labels, sides[1].labels).sum())
    if differing:
        raise MetricError("the same rows have other labels in the second set", found=f"{differing} of {len(shared)}")
    return sides


def independent_rows(first: EmbeddingSet, second: EmbeddingSet, *, seed: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return sets of unlike rows with as many of each class; groups of rows would have to be known for both."""
    if first.groups is not None or second.groups is not None:
        raise MetricError("groups are given for rows that both encoders share", found="two sets of unlike rows")
    cut = common_galleries(first, second, seed=seed)
    if len(cut[0]) < 2:
        raise MetricError("the two sets have no class in common", found=f"{len(first)} and {len(second)} rows")
    return cut[0], cut[1]


def ids(embeddings: EmbeddingSet) -> NDArray[Any]:
    """Return what identifies the rows [N]."""
    return np.asarray(embeddings.row_ids)


def _selected(embeddings: EmbeddingSet, rows: NDArray[np.intp]) -> EmbeddingSet:
    return embeddings if np.array_equal(rows, np.arange(len(embeddings))) else embeddings.select(rows)
