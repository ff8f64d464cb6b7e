"""The pairs of a tile above a threshold of their row or of their column, collected by one reading of the tile on a GPU.

To look for them with one operation after the other reads the tile twice and waits for the device at every step. Here
it is told how many there are, and that only when it asks: meanwhile the next product can already be on its way.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from repdiag.metrics.pairwise.kernels.block import read_block

MOST = 1 << 18  # pairs that are written down, above rows and above columns; the others are only counted
_ROWS, _COLUMNS = 32, 64  # of the block that one program reads


class Search:
    """A search that has been started: the pairs [rows, columns] of `scores` above a threshold [rows] or [columns].

    Thresholds are read when the search is made, not when its result is asked for; where one is None nothing is
    searched along that side.
    """

    def __init__(self, scores: Tensor, above_rows: Tensor | None, above_columns: Tensor | None) -> None:
        height, width = scores.shape
        self._number = torch.zeros(2, dtype=torch.int32, device=scores.device)
        self._place = torch.empty(2, 2, MOST, dtype=torch.int32, device=scores.device)
        self._score = scores.new_empty(2, MOST)
        unused = self._score[0]
        thresholds = [unused if side is None else side.contiguous() for side in (above_rows, above_columns)]
        _search[triton.cdiv(height, _ROWS), triton.cdiv(width, _COLUMNS)](
            scores,
            *thresholds,
            self._number,
            self._place,
            self._score,
            height,
            width,
            scores.stride(0),
            MOST=MOST,
            ALONG_ROWS=above_rows is not None,
            ALONG_COLUMNS=above_columns is not None,
            BLOCK_ROWS=_ROWS,
            BLOCK_COLUMNS=_COLUMNS,
        )
        self._copied = _PinnedCopy(self._number)

    def found(self, side: int) -> tuple[Tensor, Tensor, Tensor] | None:
        """Return row [P], column [P] and score [P] of the pairs above the threshold of their row (0) or column (1).

        They are in no order. None says that there were too many to write down.
        """
        number = self._copied.values()[side]
        if number > MOST:
            return None
        row, column = self._place[side, :, :number].long()
        return row, column, self._score[side, :number]


class _PinnedCopy:
    """A few numbers on their way from the GPU; only who wants them waits."""

    def __init__(self, numbers: Tensor) -> None:
        on_gpu = numbers.is_cuda
        self._numbers = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=on_gpu)
        self._numbers.copy_(numbers, non_blocking=True)
        self._arrived = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]
        if self._arrived is not None:
            self._arrived.record()

    def values(self) -> list[int]:
        """Return the numbers once they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._numbers.tolist()


# Triton reads the source: of annotations it knows its own alone.
@triton.jit  # type: ignore[untyped-decorator]
def _search(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    scores,
    above_rows,
    above_columns,
    number,
    place,
    found,
    height,
    width,
    stride,
    MOST: tl.constexpr,
    ALONG_ROWS: tl.constexpr,
    ALONG_COLUMNS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
):
    row, column, score = read_block(scores, height, width, stride, BLOCK_ROWS, BLOCK_COLUMNS)
    if ALONG_ROWS:
        level = tl.load(above_rows + row, mask=row < height, other=float("inf"))
        _write_down(score, score > level[:, None], row, column, number, place, found, MOST)
    if ALONG_COLUMNS:
        level = tl.load(above_columns + column, mask=column < width, other=float("inf"))
        _write_down(score, score > level[None, :], row, column, number + 1, place + 2 * MOST, found + MOST, MOST)


@triton.jit  # type: ignore[untyped-decorator]
def _write_down(score, wanted, row, column, number, place, found, MOST: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    if tl.sum(tl.sum(wanted.to(tl.int32), axis=1), axis=0) > 0:
        everywhere = tl.zeros_like(score).to(tl.int32)
        slot = tl.atomic_add(number + everywhere, 1, mask=wanted)
        kept = wanted & (slot < MOST)
        tl.store(place + slot, row[:, None] + everywhere, mask=kept)
        tl.store(place + MOST + slot, column[None, :] + everywhere, mask=kept)
        tl.store(found + slot, score, mask=kept)
