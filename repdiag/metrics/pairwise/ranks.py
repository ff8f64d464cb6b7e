"""How many rows are nearer than the positive: exact ranks from rounded tiles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from typing_extensions import override

from repdiag.metrics.pairwise.exact import exact_error, exact_panels
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.processes import add_up
from repdiag.metrics.pairwise.reduction import Reduction
from repdiag.metrics.pairwise.rows import Rows
from repdiag.metrics.pairwise.tiles import Pairs, Tile


@dataclass(frozen=True, eq=False)
class Ranks:
    """For every query, how many partners beat its positive, counted up to the limit of the reduction.

    `ahead` [N] counts ties as ahead, `strictly_ahead` [N] does not; both are exact below the limit.
    """

    ahead: Tensor
    strictly_ahead: Tensor


@dataclass(frozen=True, eq=False)
class PositiveRank(Reduction[Ranks]):
    """Rank of each row's positive among all partners of the row, exact up to `limit`.

    Scores of tiles decide where they differ from the positive's by more than their error bound; every other pair
    is computed anew in float64, from the source, in the same order of operations as the positive's own score, so
    that an exact copy of the positive is a tie and nothing else is.
    """

    positives: Rows
    limit: int

    @property
    @override
    def key(self) -> tuple[object, ...]:
        return ("rank", self.positives.key, self.limit)

    @override
    def covers(self, other: Reduction[object]) -> bool:
        return isinstance(other, PositiveRank) and self.key[:2] == other.key[:2] and self.limit >= other.limit

    @override
    def narrow(self, result: Ranks) -> Ranks:
        return Ranks(result.ahead.clamp(max=self.limit), result.strictly_ahead.clamp(max=self.limit))

    @override
    def start(self, pairing: Pairing) -> _RankState:
        return _RankState(self, pairing)


class _RankState:
    def __init__(self, wish: PositiveRank, pairing: Pairing) -> None:
        self._pairing, self._limit = pairing, wish.limit
        left, right = pairing.left, pairing.right
        everyone = torch.arange(len(left), device=left.fast.device)
        self._positive = left.exact_scores(everyone, wish.positives, everyone)
        self._error = left.error(slice(0, len(left)), right)
        # What may come near a positive; nothing of rows that are settled.
        self._least = _round_down(self._positive - self._error, left.fast.dtype)
        self._ahead = torch.zeros(len(left), dtype=torch.int64, device=left.fast.device)
        self._strictly = torch.zeros_like(self._ahead)

    def threshold(self, rows: slice) -> Tensor:
        return self._least[rows]

    def add(self, tile: Tile, above: Pairs | None) -> None:
        if not above:
            return  # most tiles hold nothing that comes near a positive
        row, column, score = above.row, above.column, above.score
        positive, error, ahead = self._positive[tile.rows], self._error[tile.rows], self._ahead[tile.rows]
        certain = score.double() > (positive + error)[row]
        self._count(tile.rows, row[certain], tied=None)
        # A row that the certain ones have pushed past the limit is settled: its near ties change nothing.
        near = ~certain & (ahead[row] < self._limit)
        row, column = row[near], column[near]
        left, right = self._pairing.left, self._pairing.right
        exact = left.exact_scores(row + tile.rows.start, right, column + tile.columns.start)
        beats = exact >= positive[row]
        self._count(tile.rows, row[beats], tied=exact[beats] == positive[row][beats])

    def _count(self, rows: slice, row: Tensor, *, tied: Tensor | None) -> None:
        height = rows.stop - rows.start
        ahead = self._ahead[rows]
        ahead += torch.bincount(row, minlength=height)
        self._least[rows].masked_fill_(ahead >= self._limit, torch.inf)
        self._strictly[rows] += torch.bincount(row if tied is None else row[~tied], minlength=height)

    def join(self) -> None:
        add_up(self._ahead)
        add_up(self._strictly)

    def finish(self) -> Ranks:
        # A tie may have settled a row before strictly better partners came by: such rows are counted in full.
        doubtful = ((self._ahead >= self._limit) & (self._strictly < self._limit)).nonzero().flatten()
        for index, scores in exact_panels(self._pairing, doubtful):
            # A float64 product differs from the positive's own sum by no more than its error bound.
            level = self._positive[index] + exact_error(self._pairing, index)
            self._strictly[index] = (scores > level[:, None]).sum(dim=1)
        return Ranks(self._ahead.clamp(max=self._limit), self._strictly.clamp(max=self._limit))


def _round_down(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Convert to a narrower type without ever going above the value."""
    narrow = values.to(dtype)
    lower = torch.nextafter(narrow, torch.full_like(narrow, -torch.inf))
    return torch.where(narrow.double() > values, lower, narrow)
