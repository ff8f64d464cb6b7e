"""The check that two encoders were read on the same rows."""

from __future__ import annotations

from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.algebra.moments import in_one_point

CONSTANT = "an encoder gives all rows the same features"


def check_same_rows(features: Tensor, other_features: Tensor) -> None:
    """Raise `MetricError` unless both matrices have one row for each of the same images."""
    if len(features) != len(other_features):
        raise MetricError(
            "two encoders are compared on the same rows",
            found=f"{len(features)} and {len(other_features)} rows",
            hint="select the common row_ids of both sets first",
        )


def is_constant(*encoders: Tensor) -> bool:
    """Say whether an encoder gives all rows the same features: it is like no other, and rounding must not say it is."""
    return any(in_one_point(rows) for rows in encoders)
