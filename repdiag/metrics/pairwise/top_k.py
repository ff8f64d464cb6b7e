"""The k nearest partners of every row: exact sets in exact order, from rounded tiles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise.near_ties import SPARE, Neighbors, settled
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.processes import gathered
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.tiles import NOTHING, Pairs, Tile


@dataclass(frozen=True)
class TopK(Reduction[Neighbors]):
    """The k nearest partners of every row, as float64 scores would order them; equal scores by index."""

    k: int

    @property
    @override
    def key(self) -> tuple[object, ...]:
        return ("top", self.k)

    @property
    @override
    def in_order(self) -> bool:
        return True

    @override
    def covers(self, other: Reduction[object]) -> bool:
        return isinstance(other, TopK) and self.k >= other.k

    @override
    def narrow(self, result: Neighbors) -> Neighbors:
        return Neighbors(result.index[:, : self.k], result.score[:, : self.k])

    @override
    def start(self, pairing: Pairing) -> TopKState:
        if not 1 <= self.k <= pairing.partners:
            raise MetricError(f"wanted {self.k} neighbours of each row", found=f"{pairing.partners} partners")
        return TopKState(self.k, pairing)


class TopKState:
    """The best-scored partners of every row so far, a few more than k of them."""

    def __init__(self, k: int, pairing: Pairing) -> None:
        self._k, self._pairing = k, pairing
        self._width = min(k + SPARE, pairing.partners)
        like = pairing.left.fast
        self._score = like.new_full((len(pairing.left), self._width), NOTHING)
        self._index = torch.zeros(self._score.shape, dtype=torch.int64, device=like.device)
        self._pending: dict[int, list[Pairs]] = {}

    def threshold(self, rows: slice) -> Tensor | None:
        """Return the score of the last of each row's best so far; None where there are none yet."""
        return self._score[rows, -1] if rows.start in self._pending else None

    def whole(self, tile: Tile) -> Tensor:
        """Return all scores of a tile."""
        return tile.scores

    def nearer(self, _tile: Tile, pairs: Pairs, /) -> Pairs:
        """Return the pairs, with this state's scores, that come before the last of their row so far."""
        return pairs

    def add(self, tile: Tile, above: Pairs | None) -> None:
        """Take in a tile, read row by row."""
        if above is None:
            self._pending.setdefault(tile.rows.start, [])
            score, column = self.whole(tile).topk(min(self._width, tile.scores.shape[1]), dim=1)
            self._merge(tile.rows, score, column + tile.columns.start)
            return
        # Later tiles hold few pairs that are nearer than the k-th best so far: they are collected, merged in bulk.
        nearer = self.nearer(tile, above)
        if len(nearer) == 0:
            return
        pending = self._pending[tile.rows.start]
        pending.append(Pairs(nearer.row, nearer.column + tile.columns.start, nearer.score))
        if sum(map(len, pending)) > self._width * (tile.rows.stop - tile.rows.start):
            self._flush(tile.rows)

    def _flush(self, rows: slice) -> None:
        pending = self._pending[rows.start]
        if not pending:
            return
        row, column, score = (
            torch.cat([getattr(part, name) for part in pending]) for name in ("row", "column", "score")
        )
        pending.clear()
        order = _stable_order(row)
        row = row.index_select(0, order)
        counts = torch.bincount(row, minlength=rows.stop - rows.start)
        place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts).index_select(0, row)
        width = int(counts.max())
        dense_score = score.new_full((len(counts), width), NOTHING)
        dense_index = column.new_zeros((len(counts), width))
        place += row * width
        dense_score.view(-1).index_copy_(0, place, score.index_select(0, order))
        dense_index.view(-1).index_copy_(0, place, column.index_select(0, order))
        self._merge(rows, dense_score, dense_index)

    def _merge(self, rows: slice, score: Tensor, index: Tensor) -> None:
        score = torch.cat([self._score[rows], score], dim=1)
        index = torch.cat([self._index[rows], index], dim=1)
        self._score[rows], order = score.topk(self._width, dim=1)
        self._index[rows] = index.gather(1, order)

    def join(self) -> None:
        """Take in what other processes found."""
        self._flush_all()
        scores, indices = gathered(self._score), gathered(self._index)
        self._score, self._index = scores[0], indices[0]  # in one order everywhere, so that all choose alike
        everyone = slice(0, len(self._score))
        for score, index in zip(scores[1:], indices[1:], strict=True):
            self._merge(everyone, score, index)

    def finish(self) -> Neighbors:
        """Return the k nearest, settled."""
        self._flush_all()
        return settled(self._pairing, self._score, self._index, k=self._k)

    def _flush_all(self) -> None:
        for start, stop in itertools.pairwise([*sorted(self._pending), len(self._score)]):
            self._flush(slice(start, stop))


def _stable_order(row: Tensor) -> Tensor:
    """Return what sorts row numbers of a tile, equal ones in the order in which they stand."""
    if row.device.type != "cpu" or len(row) == 0 or int(row.max()) >= 1 << 16:
        return row.argsort(stable=True)
    # Numbers of 16 bits are sorted by their digits: a tenth of what comparing them costs.
    return torch.from_numpy(row.numpy().astype(np.uint16).argsort(kind="stable"))
