"""A tile of scores, and the workspace that tiles are computed in."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from repdiag.core.kernels import runs_kernels
from repdiag.metrics.pairwise.rows import Rows

if TYPE_CHECKING:
    from repdiag.metrics.pairwise.kernels.search import Search

GROUP = 16  # columns that share one maximum: fewer cost more maxima, more cost more look-ups
NOTHING = -torch.inf  # the score of a pair that does not count
_FEW = (
    8  # at most one hot row in so many: their groups are looked into one by one, otherwise the tile is compared whole
)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Some pairs of a tile: row [P] and column [P], counted within the tile, and score [P]."""

    row: Tensor
    column: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.row)

    def are_many(self, rows: int) -> bool:
        """Say whether so many of a tile's rows may hold one that comparing the whole tile is the cheaper search."""
        return len(self) * _FEW > rows

    def above(self, threshold: Tensor) -> Pairs:
        """Return those of the pairs whose score is above the threshold of their row."""
        if len(self) == 0 or bool(self.score.max() <= threshold.min()):
            return Pairs(self.row[:0], self.column[:0], self.score[:0])
        kept = _places(self.score > threshold.index_select(0, self.row))
        return Pairs(*(part.index_select(0, kept) for part in (self.row, self.column, self.score)))


@dataclass(eq=False)
class Tile:
    """Scores of `rows` against `columns` of one pass; pairs of a row with itself hold -inf.

    Reductions read a tile row by row. In a symmetric pass each tile off the diagonal is read a second time
    through `transposed`, which shares what was computed for the first reading.
    """

    padded: Tensor
    scratch: Tensor | None
    rows: slice
    columns: slice
    _potentials: dict[float, Tensor] = field(default_factory=dict)
    _other_sums: dict[float, Tensor] = field(default_factory=dict)
    _search: Search | None = None
    _side: int = 0

    @property
    def scores(self) -> Tensor:
        """The scores [rows, columns]."""
        return self.padded[: self.rows.stop - self.rows.start, : self.columns.stop - self.columns.start]

    def transposed(self) -> Tile:
        """Return the same scores with rows and columns exchanged."""
        potentials = {t: value.T for t, value in self._potentials.items()}
        scratch = None if self.scratch is None else self.scratch.T
        return Tile(self.padded.T, scratch, self.columns, self.rows, potentials, self._other_sums, self._search, 1)

    def begin_search(self, above_rows: Tensor | None, above_columns: Tensor | None) -> None:
        """Start to look for what `above` will be asked for, of this tile and of the transposed one; a GPU's only."""
        from repdiag.metrics.pairwise.kernels.search import Search

        self._search = Search(self.scores, above_rows, above_columns)

    def potential_sums(self, t: float) -> Tensor:
        """Return the sum over each row of exp(2 t (score - 1)), which is exp(-t d^2) on the sphere."""
        if self.padded.dtype != torch.float32 or not runs_kernels(self.padded):
            return _row_sums(self._potential(t))
        if t in self._other_sums:
            return self._other_sums[t]
        from repdiag.metrics.pairwise.kernels.potential import potential_sums

        of_rows, self._other_sums[t] = potential_sums(self.scores, _rate(t))  # for when the tile is read transposed
        return of_rows

    def _potential(self, t: float) -> Tensor:
        """Return exp(2 t (score - 1)), scores above 1 taken as 1."""
        if t not in self._potentials:
            scores, out = self.scores, None
            # One further potential of the same tile would overwrite the scratch of the first: it gets its own.
            if self.scratch is not None and not self._potentials:
                out = self.scratch[: scores.shape[0], : scores.shape[1]]
            rate = _rate(t)
            shift = torch.tensor(-rate, dtype=scores.dtype, device=scores.device)
            self._potentials[t] = torch.add(shift, scores, alpha=rate, out=out).clamp_(max=0.0).exp2_()
        return self._potentials[t]

    @cached_property
    def _group_maxima(self) -> Tensor:
        """The maximum of each group g of columns {g, g + G, g + 2G, ...}: strided groups reduce at full speed."""
        height, groups = self.rows.stop - self.rows.start, self.padded.shape[1] // GROUP
        if self.padded.stride(1) == 1:
            return self.padded[:height].view(height, GROUP, groups).amax(dim=1)
        # Reducing the transposed tile as it lies in memory is thirty times faster than through its mirror.
        return self.padded.T[:, :height].view(GROUP, groups, height).amax(dim=0).T

    @cached_property
    def _row_maxima(self) -> Tensor:
        return self._group_maxima.amax(dim=1)

    def above(self, threshold: Tensor, *, many: bool = False) -> Pairs:
        """Return all pairs with a score above their row's threshold, in no order.

        A search that has been started answers for the thresholds of that moment. Otherwise, where `many` are expected
        every score is compared; where few are, only rows whose maximum passes are looked into, which makes the search
        cost one maximum.
        """
        searched = None if self._search is None else self._search.found(self._side)
        if searched is not None:
            outer, inner, score = searched
            return Pairs(inner, outer, score) if self._side else Pairs(outer, inner, score)
        if many:
            return self._compared(threshold)
        hot = (self._row_maxima > threshold).nonzero().flatten()
        if len(hot) * _FEW > len(threshold):
            return self._compared(threshold)
        if len(hot) == 0:
            return Pairs(hot, hot, self.padded.new_empty(0))
        maxima = self._group_maxima.index_select(0, hot)
        place, group = (maxima > threshold.index_select(0, hot)[:, None]).nonzero(as_tuple=True)
        row = hot.index_select(0, place)
        column = group[:, None] + torch.arange(GROUP, device=group.device) * maxima.shape[1]
        scores = self._at(row, column)
        found, member = (scores > threshold.index_select(0, row)[:, None]).nonzero(as_tuple=True)
        return Pairs(row.index_select(0, found), column[found, member], scores[found, member])

    def _compared(self, threshold: Tensor) -> Pairs:
        """Return the same as `above` from a comparison of every score, in the order in which they lie in memory."""
        turned = self.padded.stride(1) != 1
        scores, level = (self.scores.T, threshold) if turned else (self.scores, threshold[:, None])
        outer, inner, score = _greater(scores, level)
        return Pairs(inner, outer, score) if turned else Pairs(outer, inner, score)

    def _at(self, row: Tensor, column: Tensor) -> Tensor:
        """Return the scores [p, m] of row[p] at column[p, m]: by place in memory, a third of what indexing costs."""
        height, width = self.padded.stride()
        span = (self.padded.shape[0] - 1) * height + (self.padded.shape[1] - 1) * width + 1
        place = row[:, None] * height + column * width
        return self.padded.as_strided((span,), (1,)).index_select(0, place.flatten()).view(column.shape)


class Workspace:
    """The buffers of one pass, padded to whole groups: a tile and a scratch of the same size.

    Where kernels of our own read tiles, which need no scratch, it holds a second tile instead: the next product can be
    made `ahead` of the reading of the last.
    """

    def __init__(self, like: Tensor, height: int, width: int) -> None:
        self.ahead = like.dtype == torch.float32 and runs_kernels(like)
        buffers = [like.new_empty(_round_up(height), _round_up(width)) for _ in range(2)]
        self._scratch = None if self.ahead else buffers.pop()
        self._tiles = itertools.cycle(buffers)

    def compute(self, left: Rows, rows: slice, right: Rows, *, columns: slice) -> Tile:
        """Compute one tile; it is valid until the next call or, made ahead, until the one after."""
        height, width = rows.stop - rows.start, columns.stop - columns.start
        padded = next(self._tiles)[: _round_up(height), : _round_up(width)]
        left.tile(rows, right, columns, out=padded[:height, :width])
        padded[height:] = NOTHING
        padded[:, width:] = NOTHING
        return Tile(padded, self._scratch, rows, columns)


def _rate(t: float) -> float:
    """Return what makes exp2 of exp: a power of two costs half."""
    return 2.0 * t * math.log2(math.e)


def _row_sums(values: Tensor) -> Tensor:
    """Return the sum of every row; on a CPU as a product with ones, which takes half the time and reads columns too."""
    if values.is_cuda or torch.get_float32_matmul_precision() != "highest":
        return values.sum(dim=1)  # a product might cut its input
    return torch.mv(values, values.new_ones(values.shape[1]))


def _greater(scores: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return (row, column, score) of all scores above `level`, which is broadcast against them."""
    if scores.device.type != "cpu":
        row, column = (scores > level).nonzero(as_tuple=True)
        return row, column, scores[row, column]
    # numpy compares in a third of torch's time, and skips what does not pass in a quarter of it.
    place = np.flatnonzero(np.greater(scores.numpy(), level.numpy()))
    above = place // scores.shape[1]  # a division by one number for all; divmod would divide one by one
    row, column = torch.from_numpy(above), torch.from_numpy(place - above * scores.shape[1])
    span = scores.as_strided(((scores.shape[0] - 1) * scores.stride(0) + scores.shape[1],), (1,))
    return row, column, span.index_select(0, row * scores.stride(0) + column)


def _places(mask: Tensor) -> Tensor:
    """Return where a mask [P] holds."""
    if mask.device.type != "cpu":
        return mask.nonzero().flatten()
    return torch.from_numpy(np.flatnonzero(mask.numpy()))


def leave_out_own(scores: Tensor, own: Tensor, *, first: int = 0) -> None:
    """Let the pairs (i, own[i]) count for nothing, in scores whose columns begin at `first`."""
    column = own - first
    row = ((column >= 0) & (column < scores.shape[1])).nonzero().flatten()
    scores[row, column[row]] = NOTHING


def blocks(stop: int, size: int, *, start: int = 0) -> Iterator[slice]:
    """Cut start..stop into slices of `size`, the last one shorter."""
    for first in range(start, stop, size):
        yield slice(first, min(first + size, stop))


def _round_up(size: int) -> int:
    return -(-size // GROUP) * GROUP
