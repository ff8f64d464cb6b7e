"""The part of a tile of scores that one program of a GPU kernel reads."""

from __future__ import annotations

import triton
import triton.language as tl


# Triton reads the source: of annotations it knows its own alone.
@triton.jit  # type: ignore[untyped-decorator]
def read_block(scores, height, width, stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: PLR0917
    """Return this program's rows, columns and scores; outside the tile they are -inf, like pairs that do not count."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row[:, None] < height) & (column[None, :] < width)
    start = row.to(tl.int64) * stride  # a tile of some fifty thousand a side has more scores than 32 bits count
    return row, column, tl.load(scores + start[:, None] + column[None, :], mask=inside, other=-float("inf"))
