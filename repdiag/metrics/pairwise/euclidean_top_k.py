"""Euclidean neighbours out of the tiles of cosine similarities, so that both geometries need one product.

-||x - y||^2 = 2 |x| |y| cos(x, y) - |x|^2 - |y|^2: a tile of cosines and the lengths of the rows say it all.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise.near_ties import Neighbors, settled
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.rows import RawRows, Rows, raw_rows, unit_rows
from repdiag.metrics.pairwise.sharing import memoised, tensor_key
from repdiag.metrics.pairwise.tiles import NOTHING, Pairs, Tile
from repdiag.metrics.pairwise.top_k import TopKState

# How much coarser than the tiles of shifted rows the tiles of cosines may be, before too many near ties follow: the
# farther the rows lie from the origin beside what tells them apart, the coarser.
_TOLERABLE = 16.0


@dataclass(frozen=True, eq=False)
class EuclideanTopK(Reduction[Neighbors]):
    """The k rows that are nearest by Euclidean distance, from a pass over the unit rows of one set.

    `raw` are the rows as they are; scores are minus squared distances, exact and in exact order.
    """

    raw: RawRows
    lengths: Tensor
    slack: float
    k: int

    @property
    @override
    def key(self) -> tuple[object, ...]:
        return ("euclidean top", self.raw.key, self.k)

    @property
    @override
    def in_order(self) -> bool:
        return True

    @override
    def covers(self, other: Reduction[object]) -> bool:
        return isinstance(other, EuclideanTopK) and self.key[:2] == other.key[:2] and self.k >= other.k

    @override
    def narrow(self, result: Neighbors) -> Neighbors:
        return Neighbors(result.index[:, : self.k], result.score[:, : self.k])

    @override
    def start(self, pairing: Pairing) -> _EuclideanState:
        if not 1 <= self.k <= pairing.partners:
            raise MetricError(f"wanted {self.k} neighbours of each row", found=f"{pairing.partners} partners")
        return _EuclideanState(self, pairing)


def euclidean_neighbors(features: Tensor, k: int) -> tuple[Rows, EuclideanTopK] | None:
    """Return the unit rows and what to ask of a pass over them; None where the cosines would not tell rows apart.

    That is so if a row is zero and has no direction, or if the rows lie far from the origin beside their spread.
    """
    return memoised(("euclidean", tensor_key(features), k), lambda: _euclidean_neighbors(features, k), keep=features)


def _euclidean_neighbors(features: Tensor, k: int) -> tuple[Rows, EuclideanTopK] | None:
    raw = raw_rows(features)
    assert isinstance(raw, RawRows)
    lengths = torch.empty_like(raw.squares)
    for start in range(0, len(features), 4096):
        part = slice(start, start + 4096)
        lengths[part] = torch.linalg.vector_norm(features[part].double(), dim=1)
    shortest, longest = (float(value) for value in lengths.aminmax())
    if not 1e-15 < shortest <= longest < 1e15:
        return None
    unit, everyone = unit_rows(features), slice(0, len(features))
    # The product is doubled, and so is the error of its cosine; lengths are rounded to the tile's precision as well.
    coarse = 2.0 * lengths * longest * unit.error(everyone, unit) + 8.0 * unit.roundoff * (lengths + longest).square()
    slack = float((coarse / raw.error(everyone, raw).clamp_min(1e-300)).max())
    if slack > _TOLERABLE:
        return None
    return unit, EuclideanTopK(raw=raw, lengths=lengths, slack=slack, k=k)


class _EuclideanState(TopKState):
    def __init__(self, wish: EuclideanTopK, pairing: Pairing) -> None:
        super().__init__(wish.k, pairing)
        self._wish = wish
        self._lengths = wish.lengths.to(pairing.left.fast.dtype)
        self._range = wish.lengths.aminmax()
        self._cosine = torch.full_like(self._lengths, NOTHING)

    @override
    def threshold(self, rows: slice) -> Tensor | None:
        return None if super().threshold(rows) is None else self._cosine[rows]

    @override
    def _merge(self, rows: slice, score: Tensor, index: Tensor) -> None:
        super()._merge(rows, score, index)
        self._cosine[rows] = self._least_cosine(rows)

    @override
    def whole(self, tile: Tile) -> Tensor:
        left, right = self._lengths[tile.rows, None], self._lengths[tile.columns]
        return (2.0 * left * right * tile.scores).sub_(left.square() + right.square())

    @override
    def nearer(self, tile: Tile, pairs: Pairs, /) -> Pairs:
        left = self._lengths[tile.rows].index_select(0, pairs.row)
        right = self._lengths[tile.columns].index_select(0, pairs.column)
        score = 2.0 * left * right * pairs.score - (left.square() + right.square())
        return Pairs(pairs.row, pairs.column, score).above(self._score[tile.rows, -1])

    def _least_cosine(self, rows: slice) -> Tensor:
        """Return the cosine below which no partner of each row, of whatever length, is nearer than its k-th best.

        A partner of length r is nearer than d if cos > (a + r^2) / (2 |x| r) with a = |x|^2 - d^2, which is least where
        r = sqrt(a), or at the end of the range of lengths that is nearest to it.
        """
        length = self._wish.lengths[rows]
        excess = length.square() + self._score[rows, -1].double()
        other = excess.clamp_min(0.0).sqrt().clamp(*self._range)
        least = (excess + other.square()) / (2.0 * length * other)
        return (least - 8.0 * self._pairing.left.roundoff * (1.0 + least.abs())).to(self._lengths.dtype)

    @override
    def finish(self) -> Neighbors:
        self._flush_all()
        raw = Pairing.within(self._wish.raw)
        return settled(raw, self._score, self._index, k=self._k, slack=max(1.0, self._wish.slack))
