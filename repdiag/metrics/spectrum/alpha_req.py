"""`alpha_req`: decay exponent of the eigenspectrum."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.core.errors import ConfigError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.registry import metric
from repdiag.metrics.spectrum.singular_values import covariance_eigenvalues, singular_values


@metric(
    direction="context",
    bounds=(float("-inf"), float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=1,
    reference="agrawal2022",
    interval="subsample",
)
def alpha_req(
    features: Features,
    *,
    first: int = 10,
    last: int = 100,
    fit: Literal["power_law", "log_linear"] = "power_law",
) -> MetricValue:
    """Alpha-ReQ: exponent of the power law that the covariance eigenvalues follow over a range of ranks.

    Formula:      -slope of log l_r on log r over ranks r = first + 1 ... min(last, number of eigenvalues), weights
                  1/r
    Shapes:       features [N, D] -> scalar.
    Range:        0 (flat spectrum) upwards.  Near 1 is held to be good; not monotone.
    Invariant:    rotation, scale, translation, row order (fit="log_linear": not translation).
    Conventions:  raw rows, centred. `first` and `last` are the half-open range of 0-based indices of other code: 10..99
                  as in reptrix; fastssl's scripts use 3..99 or 11..49. The range is clipped to the eigenvalues that
                  exist; extra holds the ranks used. fit="log_linear" is what google-research calls alpha_req: the
                  least-squares slope of log s_k of the uncentred rows on a line that falls from 1 to 0 over all k.
    Read it as:   far above 1: a few directions carry the variance. Far below 1: noise directions are as strong as
                  signal.
    Limits:       depends on the range: compare at equal ranges only. Meaningless if the log-log curve is not straight.
    Cost:         O(N D min(N, D)) time, O(min(N, D)^2) memory.
    Reference:    Agrawal et al. 2022. Code compared: kumarkrishna/fastssl, BARL-SSL/reptrix, google-research.
                  Golden: tests/golden/test_golden_spectrum.py.
    Example:
        >>> import torch
        >>> spectrum = torch.diag(torch.arange(1.0, 41.0) ** -0.5)
        >>> round(float(alpha_req(torch.cat([spectrum, -spectrum]))), 4)
        1.0
    """
    if not 0 <= first < last:
        raise ConfigError("alpha_req needs 0 <= first < last", found=f"first={first}, last={last}")
    if fit == "log_linear":
        return _log_linear(singular_values(features), rows=len(features))
    values = covariance_eigenvalues(features)
    end = min(last, len(values))
    chosen = values[first:end]
    # Where N - 1 < D the last eigenvalues are zero (rounding of zero), not part of any power law.
    chosen = chosen[chosen > 1e-20 * values[0]]
    if len(chosen) < 3:
        return undefined(f"fewer than 3 positive eigenvalues from rank {first + 1} on", n=len(features))
    ranks = torch.arange(first + 1, first + 1 + len(chosen), dtype=chosen.dtype, device=chosen.device)
    slope = _weighted_slope(ranks.log(), chosen.log(), 1.0 / ranks)
    return MetricValue(value=-slope, n=len(features), extra={"first_rank": first + 1, "last_rank": first + len(chosen)})


def _weighted_slope(x: Tensor, y: Tensor, weights: Tensor) -> float:
    share = weights / weights.sum()
    x, y = x - (share * x).sum(), y - (share * y).sum()
    return float((share * x * y).sum() / (share * x * x).sum())


def _log_linear(values: Tensor, *, rows: int) -> MetricValue:
    if len(values) < 2 or float(values[-1]) == 0.0:
        return undefined("the fit needs at least 2 singular values, none of them zero", n=rows)
    line = torch.linspace(1.0, 0.0, len(values), dtype=values.dtype, device=values.device)
    return MetricValue(value=_weighted_slope(line, values.log(), torch.ones_like(line)), n=rows)
