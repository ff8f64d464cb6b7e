"""Hartigan's dip: how far a sample is from having one mode, and how often one mode gives as much."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.dip_null import QUANTILES, TAILS

Numbers = NDArray[np.float64]
Places = NDArray[np.int64]


def dip(values: Numbers) -> float:
    """Return the largest distance of the sample's distribution function from the nearest one with a single mode.

    Formula: min over unimodal G of max_x |F_n(x) - G(x)|, between 1 / (2 n) and 1/4 (Hartigan & Hartigan 1985).
    The nearest one is convex up to a modal interval, linear in it, concave after it: the interval is narrowed down to
    where the greatest convex minorant and the least concave majorant of F_n are farthest apart. Of fewer than two
    unlike values the dip is 0.
    """
    places = np.sort(values).astype(np.float64)
    count = len(places)
    if count < 2 or places[0] == places[-1]:
        return 0.0
    ranks = np.arange(count + 1, dtype=np.float64)
    return narrowed(places, ranks[:-1], ranks[1:]) / (2.0 * count)


def narrowed(x: Numbers, before: Numbers, after: Numbers) -> float:
    """Return twice the dip, in rows: `before` and `after` are the rows below each value, and up to it.

    Plain loops over arrays, so that the simulation of the null can compile it.
    """
    first, last = 0, len(x) - 1
    reached = float(np.min(after - before))
    while True:
        low, high = _hull(x, before, first, last, 1.0), _hull(x, after, first, last, -1.0)
        below_high = after[high] - np.interp(x[high], x[low], before[low])
        above_low = np.interp(x[low], x[high], after[high]) - before[low]
        if max(np.max(below_high), np.max(above_low)) <= reached:
            return reached
        if np.max(above_low) >= np.max(below_high):
            new_first = low[np.argmax(above_low)]
            new_last = high[np.searchsorted(high, new_first)]
        else:
            new_last = high[np.argmax(below_high)]
            new_first = low[np.searchsorted(low, new_last + 1) - 1]
        left, right = x[first : new_first + 1], x[new_last : last + 1]
        convex = np.max(after[first : new_first + 1] - np.interp(left, x[low], before[low]))
        concave = np.max(np.interp(right, x[high], after[high]) - before[new_last : last + 1])
        reached = max(reached, convex, concave)
        if new_first == first and new_last == last:
            return reached
        first, last = int(new_first), int(new_last)


def _hull(x: Numbers, height: Numbers, first: int, last: int, side: float) -> Places:
    """Return the corners of the convex minorant (side 1) or concave majorant (side -1) of the points first .. last."""
    corners = np.empty(last - first + 1, dtype=np.int64)
    count = 0
    for place in range(first, last + 1):
        while count > 1:
            one, two = corners[count - 2], corners[count - 1]
            rise = (height[two] - height[one]) * (x[place] - x[two])
            if side * rise < side * (height[place] - height[two]) * (x[two] - x[one]):
                break
            count -= 1
        corners[count] = place
        count += 1
    return corners[:count]


def one_mode_p_value(height: float, rows: int) -> float:
    """Return how often uniform rows reach this dip: no sample with a single mode does so more often.

    Between the simulated numbers of rows sqrt(n) x dip is interpolated in 1 / sqrt(n). Beyond the rarest quantile log p
    goes on as a straight line in the square of the dip, as the tail of a Brownian bridge does. Below the median it is
    1: nothing is decided there.
    """
    if rows < min(QUANTILES):
        return 1.0
    squares, logs = _squared_quantiles(min(rows, max(QUANTILES))), np.log(np.array(TAILS))
    square = rows * height**2
    if square <= squares[0]:
        return 1.0
    if square < squares[-1]:
        return float(math.exp(np.interp(square, squares, logs)))
    slope = (logs[-1] - logs[-5]) / (squares[-1] - squares[-5])
    return float(math.exp(logs[-1] + slope * (square - squares[-1])))


@cache
def _squared_quantiles(rows: int) -> tuple[float, ...]:
    """Return the quantiles of n dip^2 at this number of rows."""
    sizes = sorted(QUANTILES)
    places = [-1.0 / math.sqrt(size) for size in sizes]
    columns = zip(*(QUANTILES[size] for size in sizes), strict=True)
    return tuple(float(np.interp(-1.0 / math.sqrt(rows), places, column)) ** 2 for column in columns)
