"""Intervals of differences and ratios, from the intervals of their two parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.verdict import Reading

SQUARE_AND_ADD = "square-and-add of two independent intervals"


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float

    def reading(self, threshold: float, *, above: Reading) -> Reading:
        """Return `above` if the whole interval exceeds the threshold, its opposite if it stays below, else neutral."""
        below: Reading = "against" if above == "for" else "for"
        if self.low > threshold:
            return above
        return below if self.high < threshold else "neutral"


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second with the square-and-add interval (Zou & Donner 2008), for independent parts.

    It keeps the asymmetry of the two intervals, which matters for accuracies near 1.
    """
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    return Estimate(value, low, high)


def proportion(row: MetricRow) -> Estimate:
    """Return the estimate of an accuracy; without an interval of its own it gets Wilson's, which assumes free rows."""
    assert row.value is not None
    if row.ci_low is not None and row.ci_high is not None:
        return Estimate(row.value, row.ci_low, row.ci_high)
    return wilson(row.value, row.n)


def wilson(share: float, n: int) -> Estimate:
    """Return the share of n free rows with Wilson's interval, which is not empty where all of them agree."""
    z2 = 1.96**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return Estimate(share, min(centre - half, share), max(centre + half, share))
