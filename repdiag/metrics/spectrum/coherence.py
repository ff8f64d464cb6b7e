"""`coherence`: does a single row own a direction?"""

from __future__ import annotations

import math

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric

TOP = 5  # largest rows whose spacings tell how fast leverages fall off
# 2.5 % and 97.5 % quantiles of (X_1 + log log 2) / mean_{i<=5}(X_i - X_6), X_i = -log(E_1 + ... + E_i), E exponential.
PIVOT = (-4.49, 2.03)


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="tsitsulin2023",
    interval="own",
    default=False,
)
def coherence(features: Features) -> MetricValue:
    """Coherence: largest leverage of a row, in units of the mean leverage.

    Formula:      max_i ||u_i||^2 N / r,  X = U S V^T,  r = min(N, D)
    Shapes:       features [N, D] -> scalar.
    Range:        rank / r, which is 1 unless directions are empty (all rows weigh alike), to N / r (a row has a
                  direction of its own).  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  raw rows, uncentred. Directions with a singular value below 1e-12 of the largest are left out; r stays
                  min(N, D). The interval is for the median of the maximum, derived from how far the five next leverages
                  lie below it; half-samples, which version 1 used, do not see what a larger row would do.
    Read it as:   whether single outliers carry directions of the space.
    Limits:       a maximum over rows: it grows with N.
    Cost:         O(N D min(N, D)) time, O(N D) memory.
    Reference:    Tsitsulin, Munkhoeva & Perozzi 2023. Code compared: google-research, graph_embedding.
                  Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> round(float(coherence(torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]))), 4)
        1.0
    """
    left, values, _ = torch.linalg.svd(features.double(), full_matrices=False)
    if float(values[0]) == 0.0:
        return undefined("all rows are zero", n=len(features))
    used = values > 1e-12 * values[0]
    leverage = left[:, used].square().sum(dim=1) * len(features) / len(values)
    low, high = _interval(leverage, lowest=int(used.sum()) / len(values), highest=len(features) / len(values))
    return MetricValue(
        value=float(leverage.max()),
        n=len(features),
        ci_low=low,
        ci_high=high,
        ci_method=None if low is None else f"extreme values, {TOP} spacings",
    )


def _interval(leverage: torch.Tensor, *, lowest: float, highest: float) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the median of the largest leverage, None for too few rows or rows that repeat.

    Beyond a high level leverages fall off at least as fast as a power law, so their logarithms have an exponential
    tail; its scale b is the mean excess of the top rows over the next one. (log max - median) / b then has the
    distribution whose quantiles are `PIVOT`, whatever the level and b. Tails lighter than a power make the interval
    wider than need be, never narrower.
    """
    if len(leverage) < 10 * TOP:
        return None, None
    top = leverage.topk(TOP + 1).values.log()
    scale = float((top[:-1] - top[-1]).mean())
    if not scale > 0.0:
        return None, None
    largest = float(top[0])
    low, high = (largest - quantile * scale for quantile in reversed(PIVOT))
    low, high = max(low, math.log(lowest)), min(high, math.log(highest))
    return math.exp(min(low, largest)), math.exp(max(high, largest))
