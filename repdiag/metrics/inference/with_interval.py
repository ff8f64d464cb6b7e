"""The confidence interval of a value, made the way its metric declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.means import mean_estimate, share_interval
from repdiag.metrics.inference.pairs import pair_mean_estimate
from repdiag.metrics.inference.resampling import (
    Index,
    block_jackknife,
    evaluate_rows,
    strata,
    subsampling,
)
from repdiag.metrics.registry import Metric

# Beyond this many products in one k-means step, twenty more clusterings would take longer than everything else.
_AFFORDABLE = 2**34

# nc1 divides by the weakest direction of the class means: its distribution has a long tail, that of its reciprocal has
# none. Its interval is made for the reciprocal and turned over; it speaks of the median rather than of the mean.
_BY_RECIPROCAL = frozenset({"nc1"})
# Metrics whose coverage was found outside 93-97 % in simulation (docs/uncertainty.md).
_APPROXIMATE = frozenset({"nc1", "alignment_margin", "coherence", "mutual_knn", "neighbor_jaccard"})

Again = Callable[..., float | None]  # the metric on some rows, with some settings changed


def with_interval(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    labels: Tensor | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> MetricValue:
    """Return the value with `ci_low`, `ci_high` and `ci_method` filled.

    `arguments` are those the metric's function was called with, data and settings; `labels` are the classes of the
    rows, where they are known. A value that is undefined, has an interval already, or whose metric declares none
    comes back as it is; so does one whose replicates are not all defined.
    """
    if value.value is None or value.ci_method is not None or metric.interval == "none":
        return value
    turned = metric.name in _BY_RECIPROCAL and value.value > 0.0
    found = estimate(metric, value, arguments, labels=labels, seed=seed, reciprocal=turned)
    if found is None:
        return value
    if turned and found.interval(level)[0] <= 0.0:  # the reciprocal may be 0: no finite interval that way
        turned, found = False, _resampled(metric, value, arguments, labels=labels, seed=seed) or found
    if turned:
        low, high = found.reciprocal_interval(level)
    elif _is_share(metric, value):
        low, high = share_interval(
            found, rows=len(value.per_row) if value.per_row is not None else value.n, level=level
        )
    else:
        low, high = found.interval(level)
    lowest, highest = metric.bounds
    # A bound may be approximate (floating point, or a value slightly outside): the interval always holds its value.
    low, high = min(value.value, max(low, lowest)), max(value.value, min(high, highest))
    method = f"{found.method} (approximate)" if metric.name in _APPROXIMATE else found.method
    return replace(value, ci_low=low, ci_high=high, ci_method=method)


def estimate(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    labels: Tensor | None,
    seed: int = 0,
    reciprocal: bool = False,
) -> Estimate | None:
    """Return the value (or its reciprocal) with its standard error by the declared method, None where there is none."""
    if value.value is None or metric.interval == "none":
        return None
    if value.per_row is not None and len(value.per_row) >= 3:
        if metric.interval == "per_query":
            return mean_estimate(value.per_row, labels_of_parts(value, labels))
        if metric.interval == "u_statistic":
            return pair_mean_estimate(value.value, value.per_row, labels)
    if metric.interval == "per_query":
        return None  # a metric of queries without its parts, such as a difference of two, makes its own interval
    if reciprocal:
        return _of_reciprocal(metric, value, arguments, labels=labels, seed=seed)
    return _resampled(metric, value, arguments, labels=labels, seed=seed)


def _of_reciprocal(
    metric: Metric, value: MetricValue, arguments: Mapping[str, Any], *, labels: Tensor | None, seed: int
) -> Estimate | None:
    """Return the block jackknife of 1 / value."""
    rows = len(arguments["features"])

    def again(index: Index) -> float | None:
        part = evaluate_rows(metric, arguments, index)
        return 1.0 / part if part else None

    turned = 1.0 / float(value)
    return block_jackknife(again, turned, rows=rows, labels=_aligned(labels, rows), seed=seed)


def _resampled(
    metric: Metric, value: MetricValue, arguments: Mapping[str, Any], *, labels: Tensor | None, seed: int
) -> Estimate | None:
    rows = len(arguments["features"])
    classes = strata(metric, _aligned(labels, rows))
    assert value.value is not None

    def again(index: Index, **changed: Any) -> float | None:
        return evaluate_rows(metric, {**arguments, **changed}, index)

    if metric.interval == "u_statistic":
        return block_jackknife(again, value.value, rows=rows, labels=classes, seed=seed)
    if metric.interval == "subsample":
        return subsampling(again, value.value, rows=rows, labels=classes, seed=seed)
    return _clustered(value, again, features=arguments["features"], labels=classes, seed=seed)


def labels_of_parts(value: MetricValue, labels: Tensor | None) -> Tensor | None:
    """Return the labels of the rows that the parts of a value speak of, None where they are not known."""
    if labels is not None and value.rows is not None:
        labels = labels[value.rows]
    return _aligned(labels, 0 if value.per_row is None else len(value.per_row))


def _aligned(labels: Tensor | None, rows: int) -> Tensor | None:
    return labels if labels is not None and len(labels) == rows else None


def _clustered(
    value: MetricValue, again: Again, *, features: Tensor, labels: Tensor | None, seed: int
) -> Estimate | None:
    """Add the spread over k-means seeds to that over half-samples, each clustered once with a seed of its own."""
    runs = int(value.extra.get("seeds", 1))
    spread = float(value.extra.get("sd") or 0.0)
    assert value.value is not None
    alone = Estimate(
        value=value.value, error=spread / runs**0.5, freedom=max(1.0, runs - 1.0), method=f"{runs} k-means seeds only"
    )
    if features.numel() * int(value.params.get("clusters", 1)) > _AFFORDABLE:
        return alone if runs > 1 else None
    seeds = iter(range(10_000, 20_000))

    halves = subsampling(
        lambda half: again(half, seed=next(seeds), seeds=1), value.value, rows=len(features), labels=labels, seed=seed
    )
    if halves is None:
        return alone if runs > 1 else None
    # A replicate is one run, the value the mean of several: all but 1/runs of the seeds' variance is taken off again.
    variance = max(halves.error**2 - spread**2 * (1.0 - 1.0 / runs), spread**2 / runs, 0.25 * halves.error**2)
    return replace(halves, error=variance**0.5, method=f"{runs} k-means seeds and {halves.method}")


def _is_share(metric: Metric, value: MetricValue) -> bool:
    """Say whether the value is the share of rows for which something holds."""
    if metric.interval != "per_query" or value.per_row is None:
        return False
    return bool(torch.all((value.per_row == 0) | (value.per_row == 1)))
