"""Ranks of all rows of a class among all partners, for measures that look at the whole ranking."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from repdiag.metrics.neighbors.retrieval import class_sizes, prepared
from repdiag.metrics.pairwise import Pairing, exact_panels


def relevant_by_rank(features: Tensor, labels: Tensor, *, normalize: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (queries, relevance [q, N - 1] of all partners from near to far) for rows with a relevant partner.

    Whole rows of float64 scores are sorted: O(N^2 (D + log N)) in all. Equal scores keep the order of the rows.
    """
    queries = (class_sizes(labels) > 1).nonzero().flatten()
    if len(queries) == 0:
        return
    pairing = Pairing.within(prepared(features, normalize=normalize))
    for part, scores in exact_panels(pairing, queries):
        order = torch.sort(scores, dim=1, descending=True, stable=True).indices[:, :-1]  # the last is the row itself
        yield part, labels[order] == labels[part][:, None]
