"""Means over pairs of rows (U-statistics): the jackknife from each row's mean over its partners."""

from __future__ import annotations

import math

from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.inference.estimate import Estimate


def pair_mean_estimate(value: float, per_row: Tensor) -> Estimate:
    """Return the delete-one jackknife of a mean over pairs, or of its logarithm.

    `per_row` holds g_i = mean over j of h(i, j), whose mean is U. Leaving row i out gives
    U_(i) = (n U - 2 g_i) / (n - 2), so the n leave-one-out values need no second pass. The value is U itself or log U;
    which of the two is read off.
    """
    parts = per_row.double()
    rows, mean = len(parts), float(parts.mean())
    if rows < 3:
        raise MetricError("a jackknife over pairs needs three rows", found=str(rows))
    left_out = (rows * mean - 2.0 * parts) / (rows - 2.0)
    if not math.isclose(value, mean, rel_tol=1e-6, abs_tol=1e-9):
        if mean <= 0.0 or not math.isclose(value, math.log(mean), rel_tol=1e-6, abs_tol=1e-9):
            raise MetricError("per_row must average to the value or to its exponential", found=f"{mean} for {value}")
        left_out = left_out.log()
    spread = float((left_out - left_out.mean()).square().sum())
    error = ((rows - 1.0) / rows * spread) ** 0.5
    return Estimate(value=value, error=error, freedom=rows - 1.0, method="jackknife over rows")
