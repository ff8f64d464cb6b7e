"""Means over queries: rows of one class answer alike, so classes, not rows, are the independent units."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from repdiag.metrics.inference.estimate import LEVEL, Estimate, quantile
from repdiag.metrics.inference.units import FEWEST


def mean_estimate(per_row: Tensor, labels: Tensor | None) -> Estimate:
    """Return the mean over rows with its cluster-robust error: classes are resampled, the gallery stays.

    Error^2 = C/(C-1) sum_c (sum_{i in c} (x_i - mean))^2 / N^2, with C - 1 degrees of freedom: what a bootstrap of
    whole classes converges to, without its shortfall for few classes. Rows stand for themselves where there are no
    labels or fewer than five classes.
    """
    parts = per_row.double()
    away = parts - parts.mean()
    groups = len(torch.unique(labels)) if labels is not None else 0
    if labels is None or groups < FEWEST:
        sums, method = away, "rows resampled, gallery fixed"
        if labels is not None:
            method += " (fewer than 5 classes: approximate)"
    else:
        index = torch.unique(labels, return_inverse=True)[1]
        sums = torch.zeros(groups, dtype=torch.float64, device=away.device).index_add_(0, index, away)
        method = "classes resampled, gallery fixed"
    units = len(sums)
    variance = float(sums.square().sum()) * units / max(1, units - 1) / len(parts) ** 2
    return Estimate(value=float(parts.mean()), error=variance**0.5, freedom=max(1.0, units - 1.0), method=method)


def query_mean_estimate(parts: Tensor, labels: Tensor | None, groups: Tensor | None = None) -> Estimate:
    """Return the mean over queries with the larger of the errors over classes and over groups.

    Groups inside classes go up and down with these, classes inside groups with those: the larger error is that of the
    units that are independent.
    """
    by_class = mean_estimate(parts, labels)
    if groups is None:
        return by_class
    by_group = mean_estimate(parts, groups)
    by_group = replace(by_group, method=by_group.method.replace("classes", "groups"))
    return by_group if labels is None or by_group.error > by_class.error else by_class


def two_roles(per_row: Tensor, influence: Tensor, *, labels: Tensor | None, groups: Tensor | None = None) -> Tensor:
    """Return the influence of every row as the leaving out of one of U units would measure it.

    The influence of a row is its own part and, as a partner of others, that part of it which is a mean over pairs. Of
    the pairs without one unit each weighs U / (U - 1) as much, for anchor and partner alike: of twelve classes that is
    a sixth of the variance.
    """
    units = [len(torch.unique(item)) for item in (labels, groups) if item is not None]
    fewest = min((count for count in units if count >= FEWEST), default=len(per_row))
    return per_row + (influence - per_row) * (1.0 + 2.0 / (fewest - 1.0))


def share_interval(estimate: Estimate, *, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the Wilson interval of a share, at the number of independent rows that its error amounts to.

    Unlike value +- t x error it stays within [0, 1] and is not empty where all rows agree; then, with no error to go
    by, the rows count as independent.
    """
    share, reach = estimate.value, quantile(level, estimate.freedom)
    independent = share * (1.0 - share) / estimate.error**2 if estimate.error > 0.0 else float(rows)
    spread = reach**2 / independent
    centre = (share + spread / 2.0) / (1.0 + spread)
    half = (spread * share * (1.0 - share) + spread**2 / 4.0) ** 0.5 / (1.0 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(first: Tensor, second: Tensor, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the Welch interval of mean(first) - mean(second), for rows of two unlike sets.

    Where the rows of each are all hits or all misses it would be empty, which is no certainty, least of all for few
    rows: there it is the square-and-add of the two Wilson intervals (Newcombe 1998, method 10).
    """
    sides = [mean_estimate(parts, None) for parts in (first, second)]
    difference, variances = sides[0].value - sides[1].value, [side.error**2 for side in sides]
    if sum(variances) == 0.0 and {side.value for side in sides} <= {0.0, 1.0}:
        ends = [
            share_interval(side, rows=len(parts), level=level)
            for side, parts in zip(sides, (first, second), strict=True)
        ]
        below = math.hypot(sides[0].value - ends[0][0], ends[1][1] - sides[1].value)
        above = math.hypot(ends[0][1] - sides[0].value, sides[1].value - ends[1][0])
        return difference - below, difference + above
    shares = [variance**2 / side.freedom for variance, side in zip(variances, sides, strict=True)]
    freedom = sum(variances) ** 2 / sum(shares) if sum(shares) > 0.0 else float(len(first) + len(second) - 2)
    reach = quantile(level, freedom) * sum(variances) ** 0.5
    return difference - reach, difference + reach
