"""Rows that were drawn together: the units of resampling where rows are not independent of one another."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.arrays import to_array
from repdiag.core.errors import MetricError

CLASSES = "classes"
FEWEST = 5  # with fewer units, the spread over them is not worth the name


def as_groups(groups: Any, labels: Tensor | None, *, rows: int) -> Tensor | None:
    """Return the number of the group of every row [N], None for rows that each stand for themselves.

    `groups` is "classes", or one number or text a row; rows of one group were drawn together: frames of one scene,
    pictures by one camera, or whole classes out of a population of classes.
    """
    if groups is None:
        return None
    if isinstance(groups, str):
        if groups != CLASSES:
            raise MetricError("groups are one value per row, or the word classes", found=repr(groups))
        if labels is None:
            raise MetricError("groups=classes needs labels", found="none")
        return _enough(labels)
    values = groups.cpu().numpy() if isinstance(groups, Tensor) else to_array("groups", groups)
    if values.shape != (rows,):
        raise MetricError("groups must name one group for every row", found=f"{values.shape} for {rows} rows")
    return _enough(torch.from_numpy(np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)))


def _enough(groups: Tensor) -> Tensor:
    count = len(torch.unique(groups))
    if count < FEWEST:
        raise MetricError(f"an interval over groups needs at least {FEWEST} of them", found=str(count))
    return groups


def are_classes(groups: Tensor, labels: Tensor | None) -> bool:
    """Say whether no class is in two groups: then the classes themselves were drawn, and are not strata."""
    return labels is not None and len(labels) == len(groups) and _nested(labels, groups)


def lie_in_classes(groups: Tensor, labels: Tensor) -> bool:
    """Say whether no group is in two classes."""
    return _nested(groups, labels)


def balanced(labels: Tensor) -> bool:
    """Say whether classes were taken in equal numbers, give or take a tenth: rows drawn one by one never do so."""
    counts = torch.unique(labels, return_counts=True)[1]
    smallest, largest = int(counts.min()), int(counts.max())
    return smallest > 1 and largest - smallest <= max(1, smallest // 10)


def unit_index(groups: Tensor) -> NDArray[np.int64]:
    """Return the groups as numbers 0 .. G-1, one a row [N]."""
    return np.unique(groups.cpu().numpy(), return_inverse=True)[1].reshape(-1).astype(np.int64)


def _nested(inner: Tensor, outer: Tensor) -> bool:
    pairs = torch.unique(torch.stack([inner.cpu(), outer.cpu()]), dim=1)
    return len(torch.unique(pairs[0])) == int(pairs.shape[1])
