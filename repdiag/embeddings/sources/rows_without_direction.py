"""Rows that are all zero, or have no vector at all: they have no direction, are left out, and are counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_BLOCK = 65_536  # rows that are looked at together, so that a file that is mapped stays on disk


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The rows to keep, None for all of them; and how many were left out for which reason."""

    rows: Tensor | None
    zero: int = 0
    missing: int = 0

    def said(self, left_out: Sequence[str]) -> str:
        """Return what was left out, with the first few names."""
        words = []
        if self.missing:
            words.append(f"{self.missing} without a vector")
        if self.zero:
            words.append(f"{self.zero} all zero")
        first = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
        rows = "1 row was" if len(left_out) == 1 else f"{len(left_out)} rows were"
        return f"{rows} left out, {' and '.join(words)}: {first}."


def rows_to_keep(features: Tensor, missing: NDArray[np.bool_]) -> Kept:
    """Return which rows of features [N, D] have a direction. Where none has, all are kept: then there is an error."""
    if features.ndim != 2 or features.shape[1] == 0:
        return Kept(rows=None)
    blocks = [(features[start : start + _BLOCK] != 0).any(dim=1) for start in range(0, len(features), _BLOCK)]
    zero = ~torch.cat(blocks) if blocks else torch.zeros(0, dtype=torch.bool)
    absent = torch.from_numpy(missing)
    zero &= ~absent
    out = zero | absent
    if not bool(out.any()) or bool(out.all()):
        return Kept(rows=None)
    return Kept(rows=(~out).nonzero().flatten(), zero=int(zero.sum()), missing=int(absent.sum()))
