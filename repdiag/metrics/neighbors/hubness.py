"""`hubness`: are a few rows the neighbours of everybody?"""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.neighbors.retrieval import prepared
from repdiag.metrics.pairwise import Pairing, PairRequest, TopK, over_pairs
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count

_HUB = 2  # a hub occurs at least this many times as often as the mean row


def _requests(features: Tensor, *, k: int, normalize: bool) -> list[PairRequest]:
    if len(features) <= k:
        return []
    return [PairRequest(Pairing.within(prepared(features, normalize=normalize)), TopK(k))]


@metric(
    direction="lower",
    bounds=(-float("inf"), float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="radovanovic2010",
    interval="none",
    reductions=_requests,
)
def hubness(features: Features, *, k: Count = 10, normalize: bool = True) -> MetricValue:
    """Hubness: the skewness of how often a row is among the k nearest partners of the others.

    Formula:      mean_i ((N_k(i) - k) / s)^3,  N_k(i) = #{j : i in kNN(j)},  s its standard deviation
    Shapes:       features [N, D] -> scalar; per_row [N]: N_k, so that hubs can be looked at.
    Range:        about 0 (every row is equally often a neighbour) upwards; above about 2 a few hubs rule the
                  neighbourhoods.  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  unit rows and cosine (normalize=False: raw rows, Euclidean). The row itself is excluded by index, so
                  exactly k partners are counted; scikit-hubness, given vectors, keeps the row itself among its k
                  columns, so its k = 10 is k = 9 here. Equal similarities go to the lower row; if exact copies tie for
                  the k-th place, another choice moves the value in the fourth digit. Population skewness (ddof 0).
                  extra: the share of rows that are nobody's neighbour (antihub_occurrence), the share of slots held by
                  rows with N_k >= 2k (hub_occurrence), Gini and Robin Hood index of N_k, and its maximum.
    Read it as:   high-dimensional or badly centred spaces grow hubs, and hubs lower kNN accuracy.
    Limits:       grows with the dimension and somewhat with N: compare at equal N.
    Cost:         O(N^2 D / 2) multiply-adds, O(N (D + k)) memory.
    Reference:    Radovanovic et al. 2010, eq. 1; code compared: VarIr/scikit-hubness, analysis/estimation.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> angle = torch.arange(8) * torch.pi / 4
                  >>> circle = torch.stack([angle.cos(), angle.sin()], dim=1).double()
                  >>> hubness(circle, k=2).reason
                  'every row is equally often a neighbour: no skewness'
    """
    if len(features) <= k:
        return undefined(f"{k} neighbours need more than {k} rows", n=len(features))
    nearest = over_pairs(prepared(features, normalize=normalize), TopK(k)).index
    occurrence = torch.bincount(nearest.flatten(), minlength=len(features)).double()
    extra = occurrence_measures(occurrence, k)
    deviation = occurrence - k
    spread = deviation.square().mean().sqrt()
    if float(spread) == 0.0:
        reason = "every row is equally often a neighbour: no skewness"
        return MetricValue(value=None, n=len(features), reason=reason, extra=extra)
    value = float((deviation / spread).pow(3).mean())
    return MetricValue(value=value, n=len(features), per_row=occurrence, extra=extra)


def occurrence_measures(occurrence: Tensor, k: int) -> dict[str, float]:
    """Return how unevenly the slots of all k-neighbourhoods are spread over the rows; `occurrence` is N_k [N]."""
    rows, slots = len(occurrence), float(occurrence.sum())
    ascending = occurrence.sort().values
    place = torch.arange(1, rows + 1, dtype=torch.float64, device=occurrence.device)
    gini = float(((2 * place - rows - 1) * ascending).sum()) / (rows * slots)
    return {
        "antihub_occurrence": float((occurrence == 0).double().mean()),
        "hub_occurrence": float(occurrence[occurrence >= _HUB * k].sum()) / slots,
        "gini": gini,
        "robinhood": float((occurrence - k).abs().sum()) / (2 * slots),
        "max_occurrence": int(occurrence.max()),
    }
