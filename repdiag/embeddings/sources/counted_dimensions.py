"""A label that was saved as one more dimension: said, since an array does not name its columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

_ROWS = 10_000  # a label is one in the first rows too
_FEWEST_DIMENSIONS, _MOST = 4, 2


def note_counted_dimensions(vectors: Any) -> tuple[str, ...]:
    """Return one sentence where one or two of many dimensions hold few whole numbers and all others have fractions.

    Example:
        >>> note_counted_dimensions(np.c_[np.linspace(0.1, 0.9, 40).reshape(8, 5), np.arange(8) % 2])
        ('dimension 5 holds whole numbers only, 2 different ones: is it a label? It was taken as a dimension.',)
    """
    some = vectors[:_ROWS]
    numbers = some.double().numpy() if isinstance(some, Tensor) else np.asarray(some)
    if numbers.dtype.kind != "f" or numbers.ndim != 2 or numbers.shape[1] < _FEWEST_DIMENSIONS:
        return ()
    different = whole_columns(numbers)
    counted = {place: count for place, count in different.items() if is_few(count, rows=len(numbers))}
    if not 0 < len(counted) <= _MOST or len(counted) < len(different):
        return ()
    return tuple(
        f"dimension {place} holds whole numbers only, {count} different ones: is it a label? "
        "It was taken as a dimension."
        for place, count in counted.items()
    )


def whole_columns(numbers: Any) -> dict[int, int]:
    """Return the columns [N, D] that hold whole numbers only, and how many different ones."""
    with np.errstate(invalid="ignore"):
        whole = np.flatnonzero((np.isfinite(numbers) & (numbers == np.round(numbers))).all(axis=0))
    return {int(place): len(np.unique(numbers[:, place])) for place in whole}


def is_few(different: int, *, rows: int) -> bool:
    """Say whether as many different numbers over so many rows count classes: more than one, each more than once."""
    return 1 < different <= rows // 2
