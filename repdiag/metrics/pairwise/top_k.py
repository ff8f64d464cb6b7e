"""The k nearest partners of every row: exact sets in exact order, from rounded tiles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.processes import gathered
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.settling import SPARE, Neighbors, settled
from repdiag.metrics.pairwise.tiles import NOTHING, Tile

_WIDE = 4096  # columns of a tile from which one selection is cheaper than a search for what passes a threshold


@dataclass(frozen=True)
class TopK(Reduction[Neighbors]):
    """The k nearest partners of every row, as float64 scores would order them; equal scores by index."""

    k: int

    @property
    @override
    def key(self) -> tuple[object, ...]:
        return ("top", self.k)

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
        self._pending: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}

    def dense(self, tile: Tile) -> Tensor:
        """Return all scores of a tile."""
        return tile.scores

    def sparse(self, tile: Tile) -> tuple[Tensor, Tensor, Tensor]:
        """Return (row, column, score) of the pairs of a tile that come before the last of their row so far."""
        return tile.above(self._score[tile.rows, -1])

    def add(self, tile: Tile) -> None:
        """Take in a tile, read row by row."""
        if tile.rows.start not in self._pending or tile.scores.shape[1] >= _WIDE:
            self._pending.setdefault(tile.rows.start, [])
            score, column = self.dense(tile).topk(min(self._width, tile.scores.shape[1]), dim=1)
            self._merge(tile.rows, score, column + tile.columns.start)
            return
        # Later tiles hold few pairs that are nearer than the k-th best so far: they are collected, merged in bulk.
        row, column, score = self.sparse(tile)
        if len(row) == 0:
            return
        pending = self._pending[tile.rows.start]
        pending.append((row, column + tile.columns.start, score))
        if sum(len(part[0]) for part in pending) > self._width * (tile.rows.stop - tile.rows.start):
            self._flush(tile.rows)

    def _flush(self, rows: slice) -> None:
        pending = self._pending[rows.start]
        if not pending:
            return
        row, column, score = (torch.cat(parts) for parts in zip(*pending, strict=True))
        pending.clear()
        row, order = row.sort(stable=True)
        counts = torch.bincount(row, minlength=rows.stop - rows.start)
        place = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        width = int(counts.max())
        dense_score = score.new_full((len(counts), width), NOTHING)
        dense_index = column.new_zeros((len(counts), width))
        dense_score[row, place] = score[order]
        dense_index[row, place] = column[order]
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
