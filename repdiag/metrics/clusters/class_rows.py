"""Which rows speak for their class: those that lie with it, each of several equal ones once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from repdiag.core.shapes import Bool, Features, Labels, Tensor
from repdiag.metrics import pairwise
from repdiag.metrics.pairwise import TopK, over_pairs


def at_home(features: Features, labels: Labels) -> Bool[Tensor, "N"]:
    """Return which rows have a row of their own class as their nearest: the others are confusions, not islands."""
    if len(features) < 2:
        return torch.zeros_like(labels, dtype=torch.bool)
    nearest = over_pairs(pairwise.unit_rows(features), TopK(1)).index[:, 0]
    return labels[nearest] == labels


def unlike(rows: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which rows to keep: one of several equal ones, none that stand in two classes."""
    _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    group = group.ravel()
    lowest, highest = labels[first].copy(), labels[first].copy()
    np.minimum.at(lowest, group, labels)
    np.maximum.at(highest, group, labels)
    kept: NDArray[np.int64] = np.sort(first[lowest == highest])
    return kept
