"""The pretext task as training sees it: a query, its positive key and a queue of other images' keys."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise import Rows, unit_rows


@dataclass(frozen=True, kw_only=True, eq=False)
class QueueTask:
    """Queries [N], their positives [N], and keys of which each query meets `negatives` that are not its own."""

    queries: Rows
    positives: Rows
    keys: Rows
    own: Tensor  # [N] the key that a query does not meet
    negatives: int


def queue_task(views: Tensor, *, queue_size: int, seed: int) -> QueueTask:
    """Draw the queue: K = min(queue_size, N - 1) keys of other images for every query, from view 2.

    K + 1 keys are drawn without replacement. A query whose own image was drawn leaves that key out; every other query
    leaves out the last one: each meets exactly K keys, none of them its own.
    """
    if len(views) < 2:
        raise MetricError("the queue task needs two views of each row", found=f"{len(views)}")
    rows = views.shape[1]
    if rows < 2:
        raise MetricError("the queue task needs two rows", found=f"{rows}")
    negatives = min(queue_size, rows - 1)
    drawn = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[: negatives + 1].to(views.device)
    own = torch.full((rows,), negatives, device=views.device)
    own[drawn] = torch.arange(negatives + 1, device=views.device)
    return QueueTask(
        queries=unit_rows(views[0]),
        positives=unit_rows(views[1]),
        keys=unit_rows(views[1][drawn]),
        own=own,
        negatives=negatives,
    )
