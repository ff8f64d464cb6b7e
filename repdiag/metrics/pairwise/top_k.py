"""The k nearest partners of every row: exact sets in exact order, from rounded tiles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from repdiag.core.errors import MetricError
from repdiag.metrics.pairwise.exact import exact_error, exact_panels
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.tiles import NOTHING, Tile

_SPARE = 4  # candidates kept beyond k, so that near ties at the border can be settled among them
_WIDE = 4096  # columns of a tile from which one selection is cheaper than a search for what passes a threshold
_CHUNK = 8192  # rows settled at a time


@dataclass(frozen=True, eq=False)
class Neighbors:
    """The k nearest partners of every row, nearest first, equal ones by index: index [N, k], score [N, k]."""

    index: Tensor
    score: Tensor


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
    def start(self, pairing: Pairing) -> _TopKState:
        if not 1 <= self.k <= pairing.partners:
            raise MetricError(f"wanted {self.k} neighbours of each row", found=f"{pairing.partners} partners")
        return _TopKState(self.k, pairing)


class _TopKState:
    def __init__(self, k: int, pairing: Pairing) -> None:
        self._k, self._pairing = k, pairing
        self._width = min(k + _SPARE, pairing.partners)
        like = pairing.left.fast
        self._score = like.new_full((len(pairing.left), self._width), NOTHING)
        self._index = torch.zeros(self._score.shape, dtype=torch.int64, device=like.device)
        self._pending: dict[int, list[tuple[Tensor, Tensor, Tensor]]] = {}

    def add(self, tile: Tile) -> None:
        if tile.rows.start not in self._pending or tile.scores.shape[1] >= _WIDE:
            self._pending.setdefault(tile.rows.start, [])
            score, column = tile.scores.topk(min(self._width, tile.scores.shape[1]), dim=1)
            self._merge(tile.rows, score, column + tile.columns.start)
            return
        # Later tiles hold few pairs that are nearer than the k-th best so far: they are collected, merged in bulk.
        row, column, score = tile.above(self._score[tile.rows, -1])
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

    def finish(self) -> Neighbors:
        starts = sorted(self._pending)
        for start, stop in zip(starts, [*starts[1:], len(self._score)], strict=True):
            self._flush(slice(start, stop))
        index = self._index.new_empty(len(self._index), self._k)
        score = torch.empty(index.shape, dtype=torch.float64, device=index.device)
        doubtful = []
        for rows in torch.split(torch.arange(len(index), device=index.device), _CHUNK):
            index[rows], score[rows], open_ended = _settle(
                self._pairing, rows, self._score[rows], self._index[rows], self._k
            )
            doubtful.append(rows[open_ended])
        whole = torch.cat(doubtful)
        index[whole], score[whole] = _from_panels(self._pairing, whole, self._k)
        return Neighbors(index, score)


def _settle(pairing: Pairing, rows: Tensor, score: Tensor, index: Tensor, k: int) -> tuple[Tensor, Tensor, Tensor]:
    """Order candidates whose scores lie within their error of one another: by better scores, the last ones exact.

    Return the k nearest, their scores, and which rows may have lost a partner to rounding.
    """
    left, right, block = pairing.left, pairing.right, slice(int(rows[0]), int(rows[-1]) + 1)
    error = left.error(block, right)
    score = score.double()
    dropped = score[:, -1]  # no partner that was dropped scored higher in its tile
    where, place = _members(_near_ties(score, error))
    score[where, place] = left.rounded_scores(rows[where], right, index[where, place])
    score, order = score.sort(dim=1, descending=True)
    index = index.gather(1, order)
    where, place = _members(_near_ties(score, left.rounding(block, right)))
    score[where, place] = left.exact_scores(rows[where], right, index[where, place])
    order = _by_score_then_index(score, index)[:, :k]
    score_k, index_k = score.gather(1, order), index.gather(1, order)
    open_ended = score_k[:, -1] - dropped <= 2 * error
    if score.shape[1] == pairing.partners:
        open_ended.fill_(False)
    return index_k, score_k, open_ended


def _near_ties(score: Tensor, error: Tensor) -> Tensor:
    """Say which neighbouring scores [q, K - 1], from large to small, do not differ for certain."""
    return score[:, :-1] - score[:, 1:] <= 2 * error[:, None]


def _members(close: Tensor) -> tuple[Tensor, Tensor]:
    """Return (row, place) of all candidates that belong to a near tie."""
    none = close.new_zeros(len(close), 1)
    where, place = (torch.cat([close, none], dim=1) | torch.cat([none, close], dim=1)).nonzero(as_tuple=True)
    return where, place


def _from_panels(pairing: Pairing, rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Take the k nearest of these rows out of whole float64 rows; equal scores by index."""
    chosen = [rows.new_empty(0, k)]
    for part, scores in exact_panels(pairing, rows):
        border = scores.topk(k, dim=1).values[:, -1:]
        slack = 2 * exact_error(pairing, part)[:, None]
        # 2: nearer than the border for certain; 1: equal to it but for rounding; the stable sort keeps index order
        rank = (scores > border + slack).to(torch.int8) + (scores >= border - slack)
        chosen.append(rank.sort(dim=1, descending=True, stable=True).indices[:, :k])
    index = torch.cat(chosen)
    score = pairing.left.exact_scores(rows.repeat_interleave(k), pairing.right, index.flatten()).view(-1, k)
    order = _by_score_then_index(score, index)
    return index.gather(1, order), score.gather(1, order)


def _by_score_then_index(score: Tensor, index: Tensor) -> Tensor:
    by_index = index.argsort(dim=1)
    by_score = score.gather(1, by_index).argsort(dim=1, descending=True, stable=True)
    return by_index.gather(1, by_score)
