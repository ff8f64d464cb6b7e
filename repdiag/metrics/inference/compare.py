"""One metric on two checkpoints: the difference, with what is known of its error from the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.means import mean_estimate
from repdiag.metrics.inference.paired import PairedTest, paired_test
from repdiag.metrics.inference.resampling import Evaluate, Index, block_jackknife, evaluate_rows, subsampling, units_of
from repdiag.metrics.inference.shared_gallery import shared_gallery_estimate
from repdiag.metrics.inference.with_interval import WITHOUT, error_parts, labels_of_parts
from repdiag.metrics.registry import Metric


def compare(
    metric: Metric,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    *,
    labels: Tensor | None = None,
    groups: Tensor | None = None,
    seed: int = 0,
) -> PairedTest | None:
    """Test the difference of one metric between two checkpoints that were evaluated on the same rows.

    `first` and `second` are the arguments of the metric's function for each; images are drawn within the classes that
    `labels` name, `groups` number rows that were drawn together: the labels themselves where classes were drawn.
    Per-query metrics are compared row by row (`paired_test`); others are evaluated again on the same parts of the rows
    for both, so that what the rows have in common cancels. None where the metric has no interval or a value is
    undefined.
    """
    values = metric.function(**first), metric.function(**second)
    if values[0].value is None or values[1].value is None or metric.interval in WITHOUT | {"two_sets"}:
        return None
    if metric.interval == "per_query":
        return _by_row(values[0], values[1], labels=labels, groups=groups)
    difference = values[0].value - values[1].value
    found = _estimate(metric, first, second, difference=difference, labels=labels, groups=groups, seed=seed)
    fixed = _fixed_gallery(values[0], values[1], labels=labels, groups=groups)
    if found is None or (fixed is not None and fixed.error > found.error):
        # The rows are a gallery too, which can only add to the error of a fixed one.
        shared = "" if found is not None else " (approximate: the gallery is shared)"
        found = None if fixed is None else replace(fixed, method=f"{fixed.method}{shared}")
    return None if found is None else t_test(found, difference=difference, n=values[0].n)


def t_test(estimate: Estimate, *, difference: float, n: int) -> PairedTest:
    """Return Student's t test of a difference whose error is known."""
    low, high = estimate.interval(LEVEL)
    return PairedTest(
        difference=difference,
        ci_low=low,
        ci_high=high,
        p_value=estimate.p_value(),
        method=f"t test, {estimate.method}",
        n=n,
        error=estimate.error,
        freedom=estimate.freedom,
    )


def _estimate(
    metric: Metric,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    *,
    difference: float,
    labels: Tensor | None,
    groups: Tensor | None,
    seed: int,
) -> Estimate | None:
    if metric.interval == "halves":
        sides = [first, second]
        return shared_gallery_estimate(metric, sides, difference, labels=labels, groups=groups, seed=seed)
    repeat = {"u_statistic": block_jackknife}.get(metric.interval, subsampling)
    rows = units_of(metric, labels, groups, rows=len(first["features"]))
    return repeat(_difference(metric, first, second), difference, rows=rows, seed=seed)


def _difference(metric: Metric, first: Mapping[str, Any], second: Mapping[str, Any]) -> Evaluate:
    """Return the difference of a metric between two checkpoints as a function of the rows."""

    def again(index: Index) -> float | None:
        parts = [evaluate_rows(metric, arguments, index) for arguments in (first, second)]
        return None if parts[0] is None or parts[1] is None else parts[0] - parts[1]

    return again


def _by_row(
    first: MetricValue, second: MetricValue, *, labels: Tensor | None, groups: Tensor | None
) -> PairedTest | None:
    parts = error_parts(first), error_parts(second)
    if parts[0] is None or parts[1] is None or len(parts[0]) != len(parts[1]):
        return None
    together = labels_of_parts(first, groups)
    return paired_test(parts[0], parts[1], labels=labels_of_parts(first, labels), groups=together)


def _fixed_gallery(
    first: MetricValue, second: MetricValue, *, labels: Tensor | None, groups: Tensor | None
) -> Estimate | None:
    """Return the difference row by row, as if the gallery were fixed; None for a metric without parts by row."""
    if first.per_row is None or second.per_row is None or len(first.per_row) != len(second.per_row):
        return None
    difference = first.per_row.double() - second.per_row.double()
    if len(difference) < 3:
        return None
    return mean_estimate(difference, labels_of_parts(first, labels), groups=labels_of_parts(first, groups))
