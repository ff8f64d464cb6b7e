"""Sums of Gaussian potentials along both axes of a tile, on a GPU, from one reading of its scores.

One operation after the other reads and writes the tile five times more, which takes as long as its product in TF32.
"""

from __future__ import annotations

import triton
import triton.language as tl
from torch import Tensor

from repdiag.metrics.pairwise.kernels.block import read_block

_ROWS, _COLUMNS = 64, 128  # of the block that one program adds up


def potential_sums(scores: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """Return the sums of exp2(rate (score - 1)), scores above 1 taken as 1, of each row and column, in float64.

    Blocks are added up in float32, in an order that is always the same; a score of -inf adds nothing.
    """
    height, width = scores.shape
    blocks = (triton.cdiv(height, _ROWS), triton.cdiv(width, _COLUMNS))
    of_rows = scores.new_empty(blocks[1], height)
    of_columns = scores.new_empty(blocks[0], width)
    _add_up[blocks](
        scores, of_rows, of_columns, height, width, scores.stride(0), rate, BLOCK_ROWS=_ROWS, BLOCK_COLUMNS=_COLUMNS
    )
    return of_rows.double().sum(dim=0), of_columns.double().sum(dim=0)


# Triton reads the source: of annotations it knows its own alone.
@triton.jit  # type: ignore[untyped-decorator]
def _add_up(  # type: ignore[no-untyped-def]  # noqa: PLR0917
    scores,
    of_rows,
    of_columns,
    height,
    width,
    stride,
    rate,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
):
    row, column, score = read_block(scores, height, width, stride, BLOCK_ROWS, BLOCK_COLUMNS)
    potential = tl.exp2(tl.minimum((score - 1.0) * rate, 0.0))
    tl.store(of_rows + tl.program_id(1) * height + row, tl.sum(potential, axis=1), mask=row < height)
    tl.store(of_columns + tl.program_id(0) * width + column, tl.sum(potential, axis=0), mask=column < width)
