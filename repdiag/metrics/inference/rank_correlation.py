"""Spearman's rank correlation over encoders, with an interval that is honest for few of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

FEWEST = 5  # encoders; fewer have no rank correlation worth an interval
Correlation = tuple[float, float | None, float | None]


def rank_correlation(values: Sequence[float], accuracies: Sequence[float]) -> Correlation | None:
    """Return Spearman's rho and its 95 % interval; None below five encoders or where either side is constant.

    The interval is Bonett & Wright's (2000): Fisher's z with variance (1 + rho^2 / 2) / (n - 3); a perfect
    order has none, since z is infinite.
    """
    from scipy.stats import spearmanr

    count = len(values)
    if count < FEWEST or len(set(values)) == 1 or len(set(accuracies)) == 1:
        return None
    rho = float(spearmanr(values, accuracies).statistic)
    if abs(rho) > 1.0 - 1e-12:
        return math.copysign(1.0, rho), None, None
    reach = 1.959963984540054 * math.sqrt((1 + rho * rho / 2) / (count - 3))
    return rho, math.tanh(math.atanh(rho) - reach), math.tanh(math.atanh(rho) + reach)
