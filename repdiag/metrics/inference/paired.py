"""Two checkpoints on the same rows: tests of their difference, row by row, and the correction for many metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.inference.estimate import LEVEL
from repdiag.metrics.inference.means import mean_estimate

Sums = NDArray[np.float64]

PERMUTATIONS = 9999
_ALL_SIGNS = 13  # up to this many units all 2^n sign patterns are visited


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """The mean difference (first minus second) with its interval and the p-value of there being none."""

    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    method: str
    n: int


def paired_test(first: Tensor, second: Tensor, *, labels: Tensor | None = None, seed: int = 0) -> PairedTest:
    """Test whether two per-row results on the same rows have the same mean.

    Hits and misses without labels: McNemar's exact test. Otherwise the signs of the differences are flipped, those of a
    class together, because the rows of a class go up and down together and a row-wise test would find differences
    between equally good checkpoints.
    """
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        found = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise MetricError("a paired test needs one result a row from both, and two rows", found=found)
    difference = first.double() - second.double()
    estimate = mean_estimate(difference, labels)
    low, high = estimate.interval(LEVEL)
    clustered = estimate.method.startswith("classes")
    if not clustered and _is_binary(first) and _is_binary(second):
        p_value, method = mcnemar(first, second), "McNemar, exact"
    else:
        sums = _class_sums(difference, labels) if clustered and labels is not None else difference.cpu().numpy()
        p_value = sign_flip(sums, seed=seed)
        method = f"sign flips of {len(sums)} {'classes' if clustered else 'rows'}"
    return PairedTest(
        difference=estimate.value, ci_low=low, ci_high=high, p_value=p_value, method=method, n=len(difference)
    )


def mcnemar(first: Tensor, second: Tensor) -> float:
    """Return the exact two-sided p-value that of the rows where two results differ, each is as often the better."""
    from scipy.stats import binomtest

    wins, losses = int(((first == 1) & (second == 0)).sum()), int(((first == 0) & (second == 1)).sum())
    return 1.0 if wins + losses == 0 else float(binomtest(wins, wins + losses).pvalue)


def sign_flip(sums: Sums, *, seed: int = 0, permutations: int = PERMUTATIONS) -> float:
    """Return the two-sided p-value that the differences of independent units are symmetric about 0.

    All sign patterns for few units, seeded random ones (the observed one counted among them) for many.
    """
    observed = abs(float(sums.sum()))
    slack = 1e-12 * float(np.abs(sums).sum())  # the same sum in another order counts as equal
    if len(sums) <= _ALL_SIGNS:
        bits = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ sums) >= observed - slack))
    generator, reached = np.random.default_rng(seed), 1
    step = max(1, 2**22 // len(sums))
    for start in range(0, permutations, step):
        count = min(step, permutations - start)
        signs = 1.0 - 2.0 * generator.integers(0, 2, size=(count, len(sums)))
        reached += int((np.abs(signs @ sums) >= observed - slack).sum())
    return reached / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: rejecting those below alpha makes any error with probability at most alpha."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _class_sums(difference: Tensor, labels: Tensor) -> Sums:
    index = torch.unique(labels, return_inverse=True)[1]
    sums = difference.new_zeros(int(index.max()) + 1).index_add_(0, index, difference)
    return np.asarray(sums.cpu().numpy())


def _is_binary(parts: Tensor) -> bool:
    return bool(torch.all((parts == 0) | (parts == 1)))
