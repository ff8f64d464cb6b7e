"""Means over pairs of rows (U-statistics): the jackknife from each row's mean over its partners."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.inference.estimate import Estimate
from repdiag.metrics.inference.units import are_classes, lie_in_classes


def pair_mean_estimate(
    value: float, per_row: Tensor, labels: Tensor | None = None, *, groups: Tensor | None = None
) -> Estimate:
    """Return the delete-one jackknife of a mean over pairs, or of its logarithm.

    `per_row` holds g_i = mean over j of h(i, j), whose mean is U. Leaving row i out gives
    U_(i) = (n U - 2 g_i) / (n - 2), so the n leave-one-out values need no second pass. The value is U itself or log U;
    which of the two is read off. Classes of equal size are taken to be drawn in equal numbers: their levels then do
    not vary from one set to the next, and only the spread inside the classes counts. Rows of one of the `groups` were
    drawn together: their deviations are added up first.
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
    if groups is not None:
        return _over_groups(value, away, labels, groups)
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


def _over_groups(value: float, away: Tensor, labels: Tensor | None, groups: Tensor) -> Estimate:
    """Return the estimate with groups as the units; inside classes where these are of equal size and hold groups."""
    index = torch.unique(groups, return_inverse=True)[1]
    classes = None
    if labels is not None and not are_classes(groups, labels) and lie_in_classes(groups, labels):
        classes = _equal_classes(labels, len(away))
    strata, name = 1, "groups" if classes is None else "groups, classes of equal size"
    if classes is not None:
        number, size = classes
        strata = len(away) // size
        away = away - (away.new_zeros(strata).index_add_(0, number, away) / size)[number]
    units = int(index.max()) + 1
    sums = away.new_zeros(units).index_add_(0, index, away)
    freedom = float(max(1, units - strata))
    error = ((len(away) - 1.0) / len(away) * float(sums.square().sum()) * units / freedom) ** 0.5
    if labels is not None and are_classes(groups, labels) and are_classes(labels, groups):
        name = "classes"
    return Estimate(value=value, error=error, freedom=freedom, method=f"jackknife over {name}")


def _equal_classes(labels: Tensor | None, rows: int) -> tuple[Tensor, int] | None:
    """Return the class number of every row and the common size, None unless there are several classes of one size."""
    if labels is None or len(labels) != rows:
        return None
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    size = int(counts[0])
    return (index, size) if len(counts) > 1 and size > 1 and bool((counts == size).all()) else None
