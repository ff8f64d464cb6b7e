"""`Work`: what reading a file may cost, counted while it is spent.

A few bytes of a pickle can ask for a copy of a large container, or for a class name of megabytes, a hundred thousand
times; operations alone therefore say nothing. Counted are operations, elements that are copied, and bytes of text.
"""

from __future__ import annotations

from repdiag.core.errors import CheckpointError

MAX_STEPS = 1_000_000
"""Operations and copied elements; a training's checkpoint with its optimizer takes some 100,000."""
_MOST_TEXT = 64 * 2**20


class Work:
    """The budget of one pickle; `CheckpointError` where it is spent."""

    def __init__(self) -> None:
        self._steps = MAX_STEPS
        self._text = _MOST_TEXT

    def step(self, count: int = 1) -> None:
        """Count operations, or elements that an operation copies."""
        self._steps -= count
        if self._steps < 0:
            raise CheckpointError("the pickle is too long", found=f"more than {MAX_STEPS:,} operations and copies")

    def text(self, length: int) -> None:
        """Count characters that an operation copies."""
        self._text -= length
        if self._text < 0:
            raise CheckpointError("the pickle copies too much text", found=f"more than {_MOST_TEXT:,} characters")
