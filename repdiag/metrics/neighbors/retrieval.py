"""Leave-one-out retrieval: which of a row's nearest partners share its class."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.metrics.pairwise import Rows, TopK, over_pairs, raw_rows, unit_rows


def prepared(features: Tensor, *, normalize: bool) -> Rows:
    """Return unit rows for cosine, raw rows for Euclidean neighbours."""
    return unit_rows(features) if normalize else raw_rows(features)


def class_sizes(labels: Tensor) -> Tensor:
    """Return, for each row, how many rows share its class, itself included [N]."""
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sizes: Tensor = counts[index]
    return sizes


@dataclass(frozen=True, kw_only=True, eq=False)
class Retrieval:
    """The queries that have a relevant partner, and which of their R nearest partners are relevant.

    A query's R is its class's size less itself. `relevant` [Q, max R] is cut at each query's R: beyond it, False.
    """

    queries: Tensor
    wanted: Tensor
    relevant: Tensor
    lone: int


def retrieve(features: Tensor, labels: Tensor, *, normalize: bool) -> Retrieval | None:
    """Retrieve each row's R nearest partners; None where no row has a relevant partner."""
    wanted = class_sizes(labels) - 1
    queries = (wanted > 0).nonzero().flatten()
    if len(queries) == 0:
        return None
    nearest = over_pairs(prepared(features, normalize=normalize), TopK(int(wanted.max()))).index[queries]
    wanted = wanted[queries]
    within = torch.arange(nearest.shape[1], device=nearest.device) < wanted[:, None]
    relevant = (labels[nearest] == labels[queries][:, None]) & within
    return Retrieval(queries=queries, wanted=wanted, relevant=relevant, lone=len(labels) - len(queries))
