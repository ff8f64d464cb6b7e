"""The pass over tiles: one product for everything that is wanted of the same pairs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.memory import is_out_of_memory
from repdiag.core.progress import stage
from repdiag.metrics.pairwise.candidates import search, served_by_faiss
from repdiag.metrics.pairwise.pairing import Pairing
from repdiag.metrics.pairwise.processes import everywhere, is_mine, shared
from repdiag.metrics.pairwise.reduction import Reduction, State
from repdiag.metrics.pairwise.rows import Rows
from repdiag.metrics.pairwise.sharing import active
from repdiag.metrics.pairwise.tiles import Tile, Workspace, blocks, leave_out_own
from repdiag.metrics.pairwise.top_k import TopK
from repdiag.metrics.pairwise.working_copy import resident_rows

T = TypeVar("T")

# A float32 tile of 1024 x 1024 and its scratch stay in the caches of a CPU core while the reductions read them.
_CPU_TILE = 1024
# A GPU wants large ones, but the tiles on the diagonal of a symmetric pass are computed whole: some sixteen a side.
_GPU_TILES, _TILES_A_SIDE = (1024, 8192), 16
_SMALLEST_TILE = 64
_BUFFERS = 4  # tile, scratch and what reductions hold of the same size


@dataclass(frozen=True, eq=False)
class PairRequest:
    """A reduction that is going to be wanted of a pairing."""

    pairing: Pairing
    reduction: Reduction[Any]


def over_pairs(rows: Rows, reduction: Reduction[T]) -> T:
    """Return one reduction over all pairs of different rows of one set."""
    return _shared(Pairing.within(rows), [reduction])[0]  # type: ignore[no-any-return]


def over_cross(left: Rows, right: Rows, reduction: Reduction[T], *, own: Tensor | None = None) -> T:
    """Return one reduction over the pairs of two sets; `own` [N] names the column that row i does not meet."""
    return _shared(Pairing(left, right, own), [reduction])[0]  # type: ignore[no-any-return]


def reduce_pairs(
    rows: Rows, *reductions: Reduction[Any], memory_budget: int | None = None, tile: int | None = None
) -> tuple[Any, ...]:
    """Return several reductions over all pairs of one set from one pass over the upper triangle of tiles.

    `memory_budget` (bytes) bounds the working tiles, `tile` fixes their side; neither changes the results beyond
    1e-6. When memory runs out the side is halved and the pass begins anew.
    """
    return _run(Pairing.within(rows), reductions, memory_budget=memory_budget, tile=tile)


def reduce_cross(
    left: Rows,
    right: Rows,
    *reductions: Reduction[Any],
    own: Tensor | None = None,
    memory_budget: int | None = None,
    tile: int | None = None,
) -> tuple[Any, ...]:
    """Return several reductions over the pairs of two sets from one pass."""
    return _run(Pairing(left, right, own), reductions, memory_budget=memory_budget, tile=tile)


def prefetch(requests: Iterable[PairRequest]) -> None:
    """Make one pass for each pairing among the requests; only within a `sharing` block."""
    groups: dict[tuple[object, ...], tuple[Pairing, list[Reduction[Any]]]] = {}
    for request in requests:
        groups.setdefault(request.pairing.key, (request.pairing, []))[1].append(request.reduction)
    for pairing, reductions in groups.values():
        with suppress(MetricError):  # whoever wants what cannot be had meets the same error, and reports it
            _shared(pairing, reductions)


def _shared(pairing: Pairing, reductions: Sequence[Reduction[Any]]) -> tuple[Any, ...]:
    memo = active()
    if memo is None:
        return _run(pairing, reductions, memory_budget=None, tile=None)
    memo.kept.append(pairing)
    known: list[tuple[Reduction[Any], Any]] = memo.values.setdefault(("pass", pairing.key), [])
    missing = [wish for wish in reductions if not any(done.covers(wish) for done, _ in known)]
    if missing:
        known.extend(zip(missing, _run(pairing, missing, memory_budget=memo.memory_budget, tile=None), strict=True))
    return tuple(wish.narrow(next(result for done, result in known if done.covers(wish))) for wish in reductions)


def _run(
    pairing: Pairing, reductions: Sequence[Reduction[Any]], *, memory_budget: int | None, tile: int | None
) -> tuple[Any, ...]:
    if pairing.partners < 1:
        raise MetricError("pairs need at least two rows", found=f"{len(pairing.left)} row")
    chosen: list[Reduction[Any]] = []
    for wish in reductions:
        if not any(done.covers(wish) for done in chosen):
            chosen = [done for done in chosen if not wish.covers(done)] + [wish]
    only = chosen[0] if len(chosen) == 1 and tile is None and not shared() else None
    if isinstance(only, TopK) and served_by_faiss(pairing, only, memory_budget):
        nearest = search(pairing, only)
        return tuple(wish.narrow(nearest) for wish in reductions)
    side = tile or _default_tile(pairing.left, memory_budget)
    with _precision_for(chosen, pairing):
        while (states := _states(pairing, chosen, side)) is None:
            side //= 2
        for state in states:
            state.join()
        results = [state.finish() for state in states]
    return tuple(
        wish.narrow(next(result for done, result in zip(chosen, results, strict=True) if done.covers(wish)))
        for wish in reductions
    )


@contextmanager
def _precision_for(chosen: Sequence[Reduction[Any]], pairing: Pairing) -> Iterator[None]:
    """Search neighbours in float32 on a GPU: to settle all that rounded inputs leave open takes a hundred times longer
    than their products save.
    """
    if not (pairing.left.fast.is_cuda and any(wish.in_order for wish in chosen)):
        yield
        return
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _states(pairing: Pairing, chosen: Sequence[Reduction[Any]], side: int) -> list[State[Any]] | None:
    """Return the states at the end of a pass, or None where memory ran out in any process and may suffice for less."""
    states = [wish.start(pairing) for wish in chosen]
    fine = True
    try:
        _pass(pairing, states, side)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or side <= _SMALLEST_TILE:
            raise
        fine = False
    return states if everywhere(fine) else None


def _pass(pairing: Pairing, states: Sequence[State[Any]], side: int) -> None:
    left, right = pairing.left, pairing.right
    # Two sets are read row by row only: a wide tile of the same area lets each row be searched in fewer pieces.
    height, width = (side, side) if pairing.symmetric else (max(1, side // 4), side * 4)
    workspace = Workspace(left.fast, min(height, len(left)), min(width, len(right)))
    reader = _Reader(states, search_ahead=workspace.ahead)
    begun: deque[_Begun] = deque()
    for rows, columns in _told(_places(pairing, height, width), _count(pairing, height, width)):
        # Dealt by place, not by turn: processes with unlike memory go through the tiles in unlike order.
        if not is_mine(rows.start // height + columns.start // width):
            continue
        tile = workspace.compute(left, rows, right, columns=columns)
        # In one set a row's own pair lies on the diagonal.
        if pairing.own is not None and (columns.start == rows.start or not pairing.symmetric):
            leave_out_own(tile.scores, pairing.own[rows], first=columns.start)
        begun.append(reader.begin(tile, both_ways=pairing.symmetric and columns.start > rows.start))
        if len(begun) > workspace.ahead:  # a GPU is given its next tile before it is asked what it found in the last
            reader.read(begun.popleft())
    for last in begun:
        reader.read(last)


def _told(places: Iterator[tuple[slice, slice]], total: int) -> Iterator[tuple[slice, slice]]:
    """Yield the places of the tiles, telling those who listen how many are done."""
    memo = active()
    with stage("tiles of pairs") as tick:
        for done, place in enumerate(places):
            if memo is not None and memo.progress is not None:
                memo.progress(done, total)
            tick(done, total)
            yield place


@dataclass(frozen=True, eq=False)
class _Begun:
    """A tile, both ways or one, with each state's threshold for each way."""

    tile: Tile
    thresholds: tuple[list[Tensor | None], ...]


class _Reader:
    """Gives every state its part of a tile, which is searched once for what all of them want."""

    def __init__(self, states: Sequence[State[Any]], *, search_ahead: bool) -> None:
        self._states, self._search_ahead = states, search_ahead
        self._many = False

    def begin(self, tile: Tile, *, both_ways: bool) -> _Begun:
        """Settle what is searched for in a tile; on a GPU the search itself begins."""
        ways = (tile.rows, tile.columns) if both_ways else (tile.rows,)
        thresholds = tuple([state.threshold(rows) for state in self._states] for rows in ways)
        if self._search_ahead:
            least = [_least(way) for way in thresholds]
            if any(side is not None for side in least):
                tile.begin_search(least[0], least[1] if both_ways else None)
        return _Begun(tile, thresholds)

    def read(self, begun: _Begun) -> None:
        """Let every state take in the tile."""
        tile = begun.tile
        for thresholds in begun.thresholds:
            self._read(tile, thresholds)
            tile = tile.transposed()

    def _read(self, tile: Tile, thresholds: Sequence[Tensor | None]) -> None:
        least = _least(thresholds)
        if least is None:
            for state in self._states:
                state.add(tile, None)
            return
        pairs = tile.above(least, many=self._many)
        self._many = pairs.are_many(len(least))
        for state, threshold in zip(self._states, thresholds, strict=True):
            if threshold is None:
                state.add(tile, None)
            else:
                every = threshold is least or bool((threshold <= least).all())
                state.add(tile, pairs if every else pairs.above(threshold))


def _least(thresholds: Sequence[Tensor | None]) -> Tensor | None:
    """Return the lowest threshold of each row, None where none is searched for."""
    wanted = [threshold for threshold in thresholds if threshold is not None]
    return wanted[0] if len(wanted) == 1 else torch.stack(wanted).amin(dim=0) if wanted else None


def _places(pairing: Pairing, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles of a pass. Rows that memory does not hold are read in parts that it does, a few times in all."""
    left, right = pairing.left.fast, pairing.right.fast
    rows_together = _together(left, height)
    columns_together = rows_together if pairing.symmetric else _together(right, width)
    for upper in blocks(len(left), rows_together):
        for outer in blocks(len(right), columns_together):
            for rows in blocks(upper.stop, height, start=upper.start):
                for columns in blocks(outer.stop, width, start=outer.start):
                    if not pairing.symmetric or columns.start >= rows.start:
                        yield rows, columns


def _count(pairing: Pairing, height: int, width: int) -> int:
    """Return the number of tiles of a pass."""
    rows, columns = (-(-len(side) // size) for side, size in ((pairing.left, height), (pairing.right, width)))
    return rows * (rows + 1) // 2 if pairing.symmetric else rows * columns


def _together(fast: Tensor, side: int) -> int:
    """Return how many rows are read together: a multiple of the tile's side."""
    return max(1, resident_rows(fast.shape[1], fast.element_size(), like=fast) // side) * side


def _default_tile(rows: Rows, memory_budget: int | None) -> int:
    side = _CPU_TILE
    if rows.fast.is_cuda:
        least, most = _GPU_TILES
        side = min(most, max(least, 1 << (len(rows) // _TILES_A_SIDE).bit_length()))
    if memory_budget is None:
        return side
    affordable = int((memory_budget / (_BUFFERS * rows.fast.element_size())) ** 0.5)
    return max(_SMALLEST_TILE, min(side, affordable))
