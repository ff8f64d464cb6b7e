"""Means over pairs of rows (U-statistics): the jackknife from each row's mean over its partners."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.inference.estimate import Estimate


def pair_mean_estimate(value: float, per_row: Tensor, labels: Tensor | None = None) -> Estimate:
    """Return the delete-one jackknife of a mean over pairs, or of its logarithm.

    `per_row` holds g_i = mean over j of h(i, j), whose mean is U. Leaving row i out gives
    U_(i) = (n U - 2 g_i) / (n - 2), so the n leave-one-out values need no second pass. The value is U itself or log U;
    which of the two is read off. Classes of equal size are taken to be drawn in equal numbers: their levels then do
    not vary from one set to the next, and only the spread inside the classes counts.
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
    away = left_out - left_out.mean()
    classes = _equal_classes(labels, rows)
    if classes is None:
        spread, method = float(away.square().sum()), "jackknife over rows"
    else:
        index, size = classes
        means = torch.zeros(rows // size, dtype=away.dtype, device=away.device).index_add_(0, index, away) / size
        spread = float((away - means[index]).square().sum()) * size / (size - 1.0)
        method = "jackknife over rows, classes of equal size"
    error = ((rows - 1.0) / rows * spread) ** 0.5
    return Estimate(value=value, error=error, freedom=rows - 1.0, method=method)


def _equal_classes(labels: Tensor | None, rows: int) -> tuple[Tensor, int] | None:
    """Return the class number of every row and the common size, None unless there are several classes of one size."""
    if labels is None or len(labels) != rows:
        return None
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    size = int(counts[0])
    return (index, size) if len(counts) > 1 and size > 1 and bool((counts == size).all()) else None
