"""`uniformity`: how evenly the rows cover the hypersphere."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.pairwise import Pairing, PairRequest, PotentialSum, over_pairs, unit_rows
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Positive


def _requests(features: Tensor, *, t: float, **_: Any) -> list[PairRequest]:
    return [PairRequest(Pairing.within(unit_rows(features)), PotentialSum(t))]


@metric(
    direction="lower",
    bounds=(-float("inf"), 0.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="wang2020",
    interval="u_statistic",
    reductions=_requests,
)
def uniformity(features: Features, *, t: Positive = 2.0) -> MetricValue:
    """Uniformity: log of the mean Gaussian potential over all pairs of rows.

    Formula:      log mean_{i<j} exp(-t ||z_i - z_j||^2),  z = features / ||features||
    Shapes:       features [N, D] -> scalar (nats).
    Range:        -4t (two opposite rows) at the least; about -2t + 2t^2 / D for rows uniform on the sphere (-4 + 8/D at
                  t = 2); 0 when collapsed.  Better: lower, at equal D only.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  exact: all pairs i<j, self-pairs excluded by index. Rows are normalised here. Tiles in the precision
                  of the rows (at least float32), sums in float64; squared distances are clamped at 0. per_row holds
                  each row's mean potential over its partners: the value is the log of their mean.
    Read it as:   how much of the sphere is used. Published values are often estimated from 3 x 128 rows
                  (uniformity_subsampled): among those, differences below .03 are noise. This value is exact.
    Limits:       depends on D. Exact duplicates add a potential of 1 each.
    Cost:         O(N^2 D / 2) multiply-adds and N^2 / 2 exponentials, O(N D) memory.
    Reference:    Wang & Isola 2020, section 4. Official code: SsnL/align_uniform, align_uniform/__init__.py;
                  WOWNICE/ssl-small, eval/stats-dist.py, whose `uniform(x, t)` ignores t and always uses 2.
                  Golden: tests/golden/test_golden_pairs.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
                  >>> float(uniformity(rows))
                  -4.0
    """
    if len(features) < 2:
        return undefined("needs two rows", n=len(features))
    parts = over_pairs(unit_rows(features), PotentialSum(t)) / (len(features) - 1)
    mean = float(parts.mean())
    if mean == 0.0:
        return undefined(f"every potential underflows at t={t}", n=len(features))
    return MetricValue(value=min(0.0, math.log(mean)), n=len(features), per_row=parts)
