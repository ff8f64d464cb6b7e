"""Rows of zeros: they have no place on the hypersphere, and whoever looks for one is told which they are."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.arrays import listed
from repdiag.core.errors import MetricError

_ROWS = 4096  # looked at together


def no_direction(rows: Tensor) -> MetricError:
    """Return the error for rows [N, D] some of which are zero: all of them are counted, wherever the first was met."""
    starts = range(0, len(rows), _ROWS)
    zero = torch.cat([~rows[start : start + _ROWS].bool().any(dim=1) for start in starts]).nonzero().flatten()
    return MetricError(
        "a row of zeros has no direction on the hypersphere",
        found=f"{len(zero)} such rows: {listed(zero.tolist())}" if len(zero) > 0 else "lengths that underflow",
        hint="drop these rows, or look for a dead layer",
    )
