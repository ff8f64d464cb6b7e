"""Rows that have a near-copy: frames of one scene, one photograph saved twice. Intervals take rows for independent."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError
from repdiag.metrics import pairwise
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.pairwise import TopK, over_cross

SAMPLE = 500  # rows asked; their share is known to two points then
NEIGHBOURS = 10
RATIO = 6.0
MANY = 0.25  # independent directions stay below: .22 of them in three features, .06 in four, less in more


def near_copy_share(features: Tensor, labels: Tensor | None = None, *, seed: int = 0) -> float:
    """Return the share of rows whose nearest row is at less than a sixth of the distance of their tenth.

    Unit rows. Of independent rows in d dimensions the nearest is at about 10^(-1/d) of the distance of the tenth, so
    few do that unless they come in clumps of two to ten. Rows of classes no larger than such a clump are not asked:
    they may be near one another because of their class. At most 500 rows are, drawn by `seed`.
    """
    asked = torch.arange(len(features), device=features.device)
    if labels is not None:
        _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
        asked = asked[(counts > NEIGHBOURS)[index].to(asked.device)]
    if len(asked) == 0 or len(features) <= NEIGHBOURS:
        return 0.0
    order = torch.randperm(len(asked), generator=torch.Generator().manual_seed(seed))[:SAMPLE]
    asked = asked[order.to(asked.device)]
    asked_rows = features[asked]
    nearest = over_cross(pairwise.unit_rows(asked_rows), pairwise.unit_rows(features), TopK(NEIGHBOURS), own=asked)
    ends = features[nearest.index[:, [0, -1]].flatten()]
    here = float64_unit_rows(asked_rows).repeat_interleave(2, dim=0)
    near, far = (here - float64_unit_rows(ends)).norm(dim=1).reshape(-1, 2).T
    return float((near * RATIO < far).double().mean())


def near_copy_note(embeddings: EmbeddingSet, *, grouped: bool = False) -> str | None:
    """Return a sentence where so many rows have a near-copy that intervals are too narrow and were not told."""
    if grouped:
        return None
    try:
        share = near_copy_share(embeddings.features, embeddings.labels)
    except MetricError:
        return None  # rows without a direction: every metric of unit rows says so
    if share < MANY:
        return None
    return (
        f"{100 * share:.0f} % of the rows have a near-copy (frames of one scene?). Intervals take rows for independent "
        "and are too narrow then: keep one row of each scene, or say with --groups which belong together."
    )
