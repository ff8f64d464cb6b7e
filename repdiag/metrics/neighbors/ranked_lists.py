"""Retrieval on parts of the rows, read off the lists of one search of them all: no part is searched again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.metrics.neighbors.retrieval import class_sizes, prepared
from repdiag.metrics.pairwise import Pairing, PairRequest, TopK, over_pairs
from repdiag.metrics.pairwise.sharing import memoised, tensor_key

Index = NDArray[np.int64]
Numbers = NDArray[np.float64]

_SPARE = 6.0  # standard deviations of how many of a list's rows are in a half: one row in a billion has too few
_BLOCK = 2**22  # list entries at a time


@dataclass(frozen=True, kw_only=True)
class PartRetrieval:
    """What every row of a part that has a relevant partner there finds among the rows of the part [Q]."""

    first: Numbers
    precision: Numbers
    average: Numbers
    chance: float


@dataclass(frozen=True, kw_only=True, eq=False)
class RankedLists:
    """The nearest partners of every row [N, M], nearest first, and which of them share its class."""

    nearest: NDArray[np.int32]
    same: NDArray[np.bool_]
    classes: Index

    def part(self, rows: Index) -> PartRetrieval | None:
        """Return the retrieval of the rows among themselves; None where the lists are too short or no class has two.

        A list without the rows that are not there is the list of the part, as far as it reaches.
        """
        there = np.zeros(len(self.classes), dtype=np.bool_)
        there[rows] = True
        wanted = np.bincount(self.classes[rows], minlength=int(self.classes.max()) + 1)[self.classes[rows]] - 1
        queries, wanted = rows[wanted > 0], wanted[wanted > 0]
        found = np.empty((3, len(queries)))
        height = max(1, _BLOCK // self.nearest.shape[1])
        for start in range(0, len(queries), height):
            some = slice(start, start + height)
            values = self._retrieved(queries[some], wanted[some], there)
            if values is None:
                return None
            found[:, some] = values
        if len(queries) == 0:
            return None
        chance = float(np.mean(wanted / (len(rows) - 1.0)))
        return PartRetrieval(first=found[0], precision=found[1], average=found[2], chance=chance)

    def _retrieved(self, queries: Index, wanted: Index, there: NDArray[np.bool_]) -> Numbers | None:
        """Return whether the first is relevant, the R-precision and the average precision at R of queries [3, q]."""
        kept = there[self.nearest[queries]]
        rank = np.cumsum(kept, axis=1, dtype=np.int32)
        if (rank[:, -1] < wanted).any():
            return None
        relevant = kept & self.same[queries] & (rank <= wanted[:, None])
        first = np.take_along_axis(self.same[queries], kept.argmax(axis=1)[:, None], axis=1)[:, 0]
        hits = np.cumsum(relevant, axis=1, dtype=np.int32)
        average = np.divide(hits, rank, where=relevant, out=np.zeros(rank.shape, dtype=np.float32))
        return np.stack([first, hits[:, -1] / wanted, average.sum(axis=1, dtype=np.float64) / wanted])


def list_length(labels: Tensor) -> int:
    """Return how many partners of every row its list must hold, that those in any half of the rows suffice."""
    most = int(class_sizes(labels).max())
    return min(len(labels) - 1, most + int(_SPARE * most**0.5) + 8)


def ranked_lists(features: Tensor, labels: Tensor, *, normalize: bool = True) -> RankedLists:
    """Return the lists of all rows; inside a `sharing` block they are made once."""

    def make() -> RankedLists:
        nearest = over_pairs(prepared(features, normalize=normalize), TopK(list_length(labels))).index
        same = labels[nearest] == labels[:, None]
        classes = torch.unique(labels, return_inverse=True)[1].cpu().numpy()
        return RankedLists(nearest=nearest.cpu().numpy().astype(np.int32), same=same.cpu().numpy(), classes=classes)

    return memoised(("lists", tensor_key(features), tensor_key(labels), normalize), make, keep=(features, labels))


OnParts = Callable[[Index], float | None]


def on_parts(read: Callable[[PartRetrieval], float | None]) -> Callable[..., OnParts]:
    """Return what a metric declares as `on_parts`: its value on any part, given how to read it off the retrieval."""

    def of(features: Tensor, labels: Tensor, *, normalize: bool = True) -> OnParts:
        lists = ranked_lists(features, labels, normalize=normalize)
        key = ("retrieved", tensor_key(features), tensor_key(labels), normalize)

        def value(rows: Index) -> float | None:
            # Metrics of one evaluation ask for the same parts.
            found = memoised((*key, rows.tobytes()), lambda: lists.part(rows), keep=(features, labels))
            return None if found is None else read(found)

        return value

    return of


def list_requests(features: Tensor, labels: Tensor, *, normalize: bool = True) -> list[PairRequest]:
    """Return the neighbours that `ranked_lists` is going to want, and `retrieve` the first of."""
    if len(labels) < 2:
        return []
    return [PairRequest(Pairing.within(prepared(features, normalize=normalize)), TopK(list_length(labels)))]
