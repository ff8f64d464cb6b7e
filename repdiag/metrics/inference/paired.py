"""Two checkpoints on the same rows: tests of their difference, row by row, and the correction for many metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.inference.estimate import LEVEL
from repdiag.metrics.inference.means import mean_estimate


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """The mean difference (first minus second) with its interval and the p-value of there being none.

    `error` and `freedom` are the standard error behind the interval and its degrees of freedom.
    """

    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    method: str
    n: int
    error: float
    freedom: float


def paired_test(
    first: Tensor, second: Tensor, *, labels: Tensor | None = None, groups: Tensor | None = None
) -> PairedTest:
    """Test whether two per-row results on the same rows have the same mean.

    Hits and misses: McNemar's exact test. Otherwise Student's t, with images drawn within the classes that `labels`
    name; with `groups` over rows that were drawn together, which may be the classes themselves.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        found = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise MetricError("a paired test needs one result per row from both, and two rows", found=found)
    difference = first.double() - second.double()
    exact = groups is None and _is_binary(first) and _is_binary(second)
    estimate = mean_estimate(difference, None if exact else labels, groups=groups)
    low, high = estimate.interval(LEVEL)
    units = f"{len(difference)} rows" if groups is None else f"{len(torch.unique(groups))} groups"
    return PairedTest(
        difference=estimate.value,
        ci_low=low,
        ci_high=high,
        p_value=mcnemar(first, second) if exact else estimate.p_value(),
        method="McNemar, exact" if exact else f"t test over {units}: {estimate.method}",
        n=len(difference),
        error=estimate.error,
        freedom=estimate.freedom,
    )


def mcnemar(first: Tensor, second: Tensor) -> float:
    """Return the exact two-sided p-value that of the rows where two results differ, each is as often the better."""
    from scipy.stats import binomtest

    wins, losses = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return 1.0 if wins + losses == 0 else float(binomtest(wins, wins + losses).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: rejecting those below alpha makes any error with probability at most alpha."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _is_binary(parts: Tensor) -> bool:
    return bool(torch.all((parts == 0) | (parts == 1)))
