"""`two_nn_dimension`: intrinsic dimension from the two nearest distances."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.neighbors.retrieval import prepared
from repdiag.metrics.pairwise import (
    Neighbors,
    Pairing,
    PairRequest,
    Reduction,
    Rows,
    TopK,
    euclidean_neighbors,
    over_pairs,
)
from repdiag.metrics.registry import metric

Duplicates = Literal["drop", "keep"]


def _requests(features: Tensor, *, normalize: bool, **_: object) -> list[PairRequest]:
    if len(features) < 3:
        return []
    rows, wish = _wish(features, normalize=normalize)
    return [PairRequest(Pairing.within(rows), wish)]


def _wish(features: Tensor, *, normalize: bool) -> tuple[Rows, Reduction[Neighbors]]:
    """Return what to ask of which rows: Euclidean neighbours come out of the pass over unit rows where they can."""
    shared = None if normalize else euclidean_neighbors(features, 2)
    return shared or (prepared(features, normalize=normalize), TopK(2))


@metric(
    direction="context",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=2,
    reference="facco2017",
    interval="subsample",
    reductions=_requests,
)
def two_nn_dimension(
    features: Features, *, discard: float = 0.1, duplicates: Duplicates = "drop", normalize: bool = False
) -> MetricValue:
    """TwoNN dimension: intrinsic dimension from the ratio of each row's two nearest distances.

    Formula:      mu_i = r_2(i) / r_1(i); d = sum x y / sum x^2 over the sorted mu with x = log mu,
                  y = -log(1 - F), F = i / N: a line through the origin
    Shapes:       features [N, D] -> scalar.
    Range:        above 0, not capped by D: noisy data read high.  Better: context.
    Invariant:    rotation, scale, translation, row order.
    Conventions:  raw rows, Euclidean (normalize=True: unit rows); the largest tenth of mu is discarded; exact copies of
                  a row are dropped first, since r_1 = 0 has no ratio, and counted in extra["duplicates"].
                  duplicates="keep" follows scikit-dimension: their mu is infinite, sorts last and falls into the
                  discarded tenth, which biases the fit (5 to 7 % low at 2 to 3 % duplicates).
    Read it as:   how many directions matter locally; effective_rank counts them globally.
    Limits:       reads low for few rows in a high dimension: a few hundred rows are not enough beyond ten dimensions.
    Cost:         O(N^2 D / 2) multiply-adds, O(N D) memory.
    Reference:    Facco et al. 2017, eq. 5; code compared: scikit-dimension, skdim/id/_TwoNN.py.
                  Golden: tests/golden/test_golden_neighbors.py.
    Example:      >>> import torch
                  >>> line = torch.rand(500, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(1, 8)
                  >>> round(float(two_nn_dimension(line)))
                  1
    """
    if not 0.0 <= discard < 1.0:
        raise MetricError("discard must lie in [0, 1)", found=str(discard))
    rows = features if duplicates == "keep" else _without_copies(features)
    extra = {"duplicates": len(features) - len(rows)}
    if len(rows) < 3:
        return undefined(f"needs three different rows, there are {len(rows)}", n=len(rows))
    value = fitted_dimension(distance_ratios(rows, normalize=normalize), discard=discard)
    if value is None:
        return undefined("the two nearest distances have no usable ratio", n=len(rows))
    return MetricValue(value=value, n=len(rows), extra=extra)


def fitted_dimension(mu: Tensor, *, discard: float) -> float | None:
    """Return the slope of the line through the origin, None where a ratio that counts is infinite or all are 1."""
    kept = min(int(len(mu) * (1.0 - discard)), len(mu) - 1)  # the last one has F = 1
    share = torch.arange(1, kept + 1, dtype=torch.float64, device=mu.device) / len(mu)
    log_mu, survival = mu.sort().values[:kept].log(), -torch.log1p(-share)
    norm = float(log_mu.square().sum())
    if norm == 0.0 or not bool(log_mu.isfinite().all()):
        return None
    return float((log_mu * survival).sum()) / norm


def distance_ratios(features: Tensor, *, normalize: bool) -> Tensor:
    """Return r_2 / r_1 of every row [N], infinite where r_1 is 0."""
    rows = prepared(features, normalize=normalize)
    nearest = over_pairs(*_wish(features, normalize=normalize)).index
    everyone = torch.arange(len(features), device=features.device)
    # The tiles only choose the neighbours; their distances are taken anew from differences in float64.
    first, second = (_distances(rows.exact(everyone), rows.exact(nearest[:, place])) for place in (0, 1))
    return torch.where(first > 0, second / first, torch.inf)


def _distances(left: Tensor, right: Tensor) -> Tensor:
    return (left - right).square().sum(dim=1).sqrt()


def _without_copies(features: Tensor) -> Tensor:
    """Keep the first of every set of equal rows, in order; the very tensor if there are no copies."""
    _, index = torch.unique(features, dim=0, return_inverse=True)
    order = torch.arange(len(features), device=features.device)
    first = torch.full((int(index.max()) + 1,), len(features), device=features.device)
    first = first.scatter_reduce(0, index, order, reduce="amin")
    return features if len(first) == len(features) else features[first.sort().values]
