"""Means over queries: images are drawn, within classes that stay; or whole groups of them are drawn together."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from repdiag.metrics.inference.estimate import LEVEL, Estimate, quantile
from repdiag.metrics.inference.units import are_classes, balanced, lie_in_classes


def mean_estimate(per_row: Tensor, labels: Tensor | None = None, *, groups: Tensor | None = None) -> Estimate:
    """Return the mean over rows with its error: rows are drawn within their classes, which are fixed.

    Error^2 = sum_c n_c s_c^2 / N^2 with N - C degrees of freedom, s_c^2 the variance inside class c (ddof 1). Classes
    of sizes that differ by chance were not drawn one by one: then error^2 = s^2 / N over all rows. Rows of one of the
    `groups` were drawn together: error^2 = G / (G - S) sum_g (sum_{i in g} (x_i - mean))^2 / N^2, G groups in S classes
    that hold whole groups each (S = 1 where classes themselves were drawn), with G - S degrees of freedom.
    """
    parts = per_row.double()
    strata = None if labels is None or len(labels) != len(parts) or not balanced(labels) else labels
    if groups is not None and (strata is None or not lie_in_classes(groups, strata) or are_classes(groups, strata)):
        strata = None
    away, fixed = _from_class_means(parts, strata)
    within = "" if strata is None else " within their classes"
    if groups is None:
        sums, method = away, f"queries resampled{within}, gallery fixed"
    else:
        index = torch.unique(groups, return_inverse=True)[1]
        sums = away.new_zeros(int(index.max()) + 1).index_add_(0, index, away)
        method = f"{name_of_groups(groups, labels)} resampled{within}, gallery fixed"
    units = len(sums)
    freedom = max(1, units - fixed)
    variance = float(sums.square().sum()) * units / freedom / len(parts) ** 2
    return Estimate(value=float(parts.mean()), error=variance**0.5, freedom=float(freedom), method=method)


def name_of_groups(groups: Tensor, labels: Tensor | None) -> str:
    """Return what the groups are called: classes where they are the classes."""
    if labels is None or len(labels) != len(groups):
        return "groups"
    return "classes" if are_classes(groups, labels) and are_classes(labels, groups) else "groups"


def _from_class_means(parts: Tensor, strata: Tensor | None) -> tuple[Tensor, int]:
    """Return the rows' distances from the mean of their class, or of all, and how many means there are."""
    if strata is None:
        return parts - parts.mean(), 1
    index, counts = torch.unique(strata, return_inverse=True, return_counts=True)[1:]
    means = parts.new_zeros(len(counts)).index_add_(0, index, parts) / counts
    return parts - means[index], len(counts)


def two_roles(per_row: Tensor, influence: Tensor, *, groups: Tensor | None = None) -> Tensor:
    """Return the influence of every row as the leaving out of one of U units would measure it.

    The influence of a row is its own part and, as a partner of others, that part of it which is a mean over pairs. Of
    the pairs without one unit each weighs U / (U - 1) as much, for anchor and partner alike: of twelve drawn classes
    that is a sixth of the variance.
    """
    units = len(per_row) if groups is None else len(torch.unique(groups))
    return per_row + (influence - per_row) * (1.0 + 2.0 / (units - 1.0))


def share_interval(estimate: Estimate, *, rows: int, level: float = LEVEL) -> tuple[float, float]:
    """Return the Wilson interval of a share, at the number of independent rows that its error amounts to.

    Unlike value +- t x error it stays within [0, 1] and is not empty where all rows agree; then, with no error to go
    by, the rows count as independent.
    """
    share, reach = estimate.value, quantile(level, estimate.freedom)
    spread_known = estimate.error > 0.0 and 0.0 < share < 1.0
    independent = share * (1.0 - share) / estimate.error**2 if spread_known else float(rows)
    spread = reach**2 / independent
    centre = (share + spread / 2.0) / (1.0 + spread)
    half = (spread * share * (1.0 - share) + spread**2 / 4.0) ** 0.5 / (1.0 + spread)
    return max(0.0, centre - half), min(1.0, centre + half)


def difference_interval(first: Tensor, second: Tensor, *, level: float = LEVEL) -> tuple[float, float]:
    """Return the Welch interval of mean(first) - mean(second), for rows of two unlike sets."""
    sides = mean_estimate(first), mean_estimate(second)
    return two_sets_interval(sides, rows=(len(first), len(second)), level=level)


def two_sets_interval(
    sides: tuple[Estimate, Estimate], *, rows: tuple[int, int], level: float = LEVEL
) -> tuple[float, float]:
    """Return the Welch interval of the difference of two independent estimates.

    Where the rows of each are all hits or all misses it would be empty, which is no certainty, least of all for few
    rows: there it is the square-and-add of the two Wilson intervals (Newcombe 1998, method 10).
    """
    joined = difference_estimate(*sides)
    if joined.error == 0.0 and {side.value for side in sides} <= {0.0, 1.0}:
        ends = [share_interval(side, rows=count, level=level) for side, count in zip(sides, rows, strict=True)]
        below = math.hypot(sides[0].value - ends[0][0], ends[1][1] - sides[1].value)
        above = math.hypot(ends[0][1] - sides[0].value, sides[1].value - ends[1][0])
        return joined.value - below, joined.value + above
    return joined.interval(level)


def difference_estimate(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second for two independent estimates, with Welch's degrees of freedom."""
    variances = first.error**2, second.error**2
    shares = variances[0] ** 2 / first.freedom + variances[1] ** 2 / second.freedom
    freedom = sum(variances) ** 2 / shares if shares > 0.0 else first.freedom + second.freedom
    method = first.method if first.method == second.method else f"{first.method}; {second.method}"
    return Estimate(
        value=first.value - second.value,
        error=sum(variances) ** 0.5,
        freedom=freedom,
        method=f"difference of two sets: {method}",
    )
