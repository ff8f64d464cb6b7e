"""The confidence interval of a value, made the way its metric declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.effort import current_effort
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.means import mean_estimate, share_interval, two_roles
from repdiag.metrics.inference.pairs import pair_mean_estimate
from repdiag.metrics.inference.resampling import (
    Index,
    Rows,
    at_all_rows,
    block_jackknife,
    enough_rows,
    evaluate_rows,
    subsampling,
    subsampling_by_turn,
    units_of,
)
from repdiag.metrics.inference.shared_gallery import shared_gallery_estimate
from repdiag.metrics.inference.two_sets import two_sets_ends
from repdiag.metrics.inference.units import are_classes
from repdiag.metrics.registry import Metric

# Numbers of the rows times classes from which on ten half-samples are clustered: twenty would take longer than all.
_MANY = 2**27

# nc1 divides by the weakest direction of the class means: its distribution has a long tail, that of its reciprocal has
# none. Its interval is made for the reciprocal and turned over; it speaks of the median rather than of the mean.
_BY_RECIPROCAL = frozenset({"nc1"})

WITHOUT = frozenset({"none", "own"})  # no interval, or one that the metric makes itself

Again = Callable[..., float | None]  # the metric on some rows, with some settings changed


def with_interval(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    labels: Tensor | None = None,
    groups: Tensor | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> MetricValue:
    """Return the value with `ci_low`, `ci_high` and `ci_method` filled.

    `arguments` are those the metric's function was called with, data and settings; `labels` are the classes of the
    rows, where they are known, which are fixed; `groups` number rows that were drawn together and stay together: the
    labels themselves where the classes are a sample of a population of classes. A value that is
    undefined, has an interval already, or whose metric declares none comes back as it is; so does one whose replicates
    are not all defined.
    """
    if value.value is None or value.ci_method is not None or metric.interval in WITHOUT:
        return value
    if metric.interval == "two_sets":
        return two_sets_ends(metric, value, arguments, estimate=estimate, groups=groups, seed=seed, level=level)
    turned = metric.name in _BY_RECIPROCAL and value.value > 0.0
    found = estimate(metric, value, arguments, labels=labels, groups=groups, seed=seed, reciprocal=turned)
    if found is None:
        return value
    if turned and found.interval(level)[0] <= 0.0:  # the reciprocal may be 0: no finite interval that way
        turned = False
        found = _resampled(metric, value, arguments, labels=labels, groups=groups, seed=seed) or found
    if turned:
        low, high = found.reciprocal_interval(level)
    elif is_share(metric, value):
        low, high = share_interval(
            found, rows=len(value.per_row) if value.per_row is not None else value.n, level=level
        )
    else:
        low, high = found.interval(level)
    lowest, highest = metric.bounds
    # A bound may be approximate (floating point, or a value slightly outside): the interval always holds its value.
    low, high = min(value.value, max(low, lowest)), max(value.value, min(high, highest))
    return replace(value, ci_low=low, ci_high=high, ci_method=found.method)


def estimate(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    labels: Tensor | None,
    groups: Tensor | None = None,
    seed: int = 0,
    reciprocal: bool = False,
) -> Estimate | None:
    """Return the value (or its reciprocal) with its standard error by the declared method, None where there is none."""
    if value.value is None or metric.interval in WITHOUT:
        return None
    if metric.interval == "halves":
        return _shared_gallery(metric, value, arguments, labels=labels, groups=groups, seed=seed)
    parts = error_parts(value)
    if parts is not None and len(parts) >= 3:
        of_parts, groups_of_parts = labels_of_parts(value, labels), labels_of_parts(value, groups)
        if metric.interval == "per_query":
            if value.influence is not None and value.per_row is not None:
                parts = two_roles(value.per_row, parts, groups=groups_of_parts)
            return mean_estimate(parts, of_parts, groups=groups_of_parts)
        if metric.interval == "u_statistic":
            return pair_mean_estimate(value.value, parts, of_parts, groups=groups_of_parts)
    if metric.interval == "per_query":
        return None  # a metric of queries without its parts makes its own interval
    return _resampled(metric, value, arguments, labels=labels, groups=groups, seed=seed, reciprocal=reciprocal)


def _shared_gallery(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    labels: Tensor | None,
    groups: Tensor | None,
    seed: int,
) -> Estimate | None:
    """Return the estimate from halves that share no row, no surer than one whose gallery were fixed."""
    assert value.value is not None
    found = shared_gallery_estimate(metric, [arguments], value.value, labels=labels, groups=groups, seed=seed)
    if value.per_row is None or len(value.per_row) < 3:
        return found
    fixed = mean_estimate(value.per_row, labels_of_parts(value, labels), groups=labels_of_parts(value, groups))
    if found is None:
        return replace(fixed, method=f"{fixed.method} (approximate: it is shared)")
    return found if found.error >= fixed.error else replace(fixed, method=f"{fixed.method}, and {found.method}")


def _resampled(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    labels: Tensor | None,
    groups: Tensor | None,
    seed: int,
    reciprocal: bool = False,
) -> Estimate | None:
    """Return the estimate from evaluations on parts of the rows; with `reciprocal` that of 1 / value."""
    size = len(arguments["features"])
    assert value.value is not None

    def again(index: Index, **changed: Any) -> float | None:
        part = evaluate_rows(metric, {**arguments, **changed}, index)
        return 1.0 / part if reciprocal and part else None if reciprocal else part

    started: Any = {"features": arguments["features"], "seed": seed}
    if metric.interval == "seeds" and groups is not None and are_classes(groups, labels):
        # Half the classes would be another problem for the same number of clusters.
        found = _clustered(value, again, rows=units_of(metric, labels, None, rows=size), **started)
        return found and replace(found, method=f"{found.method}, the classes fixed")
    rows = units_of(metric, labels, groups, rows=size)
    if metric.interval == "seeds":
        return _clustered(value, again, rows=rows, **started)
    whole = 1.0 / value.value if reciprocal else value.value
    if metric.interval == "u_statistic":
        return block_jackknife(again, whole, rows=rows, seed=seed)
    chosen = None if metric.reductions is None else enough_rows(rows, seed=seed)
    if chosen is None:
        return subsampling(again, whole, rows=rows, seed=seed)
    found = subsampling(lambda half: again(chosen[half]), whole, rows=rows.chosen(chosen), seed=seed)
    return at_all_rows(found, measured=len(chosen), rows=size)


def error_parts(value: MetricValue) -> Tensor | None:
    """Return the numbers whose spread is the error of the value: those of every row, None where there are none."""
    return value.per_row if value.influence is None else value.influence


def labels_of_parts(value: MetricValue, labels: Tensor | None) -> Tensor | None:
    """Return the labels of the rows that the parts of a value speak of, None where they are not known."""
    if labels is not None and value.rows is not None:
        labels = labels[value.rows]
    return _aligned(labels, 0 if value.per_row is None else len(value.per_row))


def _aligned(labels: Tensor | None, rows: int) -> Tensor | None:
    return labels if labels is not None and len(labels) == rows else None


def _replicates(features: Tensor, rows: Rows) -> int:
    classes = 1 if rows.labels is None else len(torch.unique(rows.labels))
    replicates = current_effort().replicates
    return replicates if features.numel() * classes <= _MANY else -(-replicates // 2)


def _clustered(value: MetricValue, again: Again, *, features: Tensor, rows: Rows, seed: int) -> Estimate | None:
    """Add the spread over k-means seeds to that over half-samples, each clustered once with a seed of its own."""
    runs = int(value.extra.get("seeds", 1))
    spread = float(value.extra.get("sd") or 0.0)
    assert value.value is not None
    alone = Estimate(
        value=value.value, error=spread / runs**0.5, freedom=max(1.0, runs - 1.0), method=f"{runs} k-means seeds only"
    )
    halves = subsampling_by_turn(
        lambda half, turn: again(half, seed=10_000 + turn, seeds=1),
        value.value,
        rows=rows,
        seed=seed,
        replicates=_replicates(features, rows),
    )
    if halves is None:
        return alone if runs > 1 else None
    # A replicate is one run, the value the mean of several: all but 1/runs of the seeds' variance is taken off again.
    variance = max(halves.error**2 - spread**2 * (1.0 - 1.0 / runs), spread**2 / runs, 0.25 * halves.error**2)
    return replace(halves, error=variance**0.5, method=f"{runs} k-means seeds and {halves.method}")


def is_share(metric: Metric, value: MetricValue) -> bool:
    """Say whether the value is the share of rows for which something holds."""
    if metric.interval not in {"per_query", "halves"} or value.per_row is None:
        return False
    return bool(torch.all((value.per_row == 0) | (value.per_row == 1)))
