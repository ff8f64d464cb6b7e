"""One metric on two checkpoints: the difference, with what is known of its error from the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.paired import PairedTest, paired_test
from repdiag.metrics.inference.resampling import (
    Index,
    block_jackknife,
    evaluate_rows,
    split_halves,
    subsampling,
    units_of,
)
from repdiag.metrics.inference.units import drawn_classes
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

    `first` and `second` are the arguments of the metric's function for each; `groups` number rows that were drawn
    together, classes are taken for such without them. Per-query metrics are compared row by row
    (`paired_test`); others are evaluated again on the same parts of the rows for both, so that what the rows have in
    common cancels. None where the metric has no interval or a value is undefined.
    """
    values = metric.function(**first), metric.function(**second)
    if values[0].value is None or values[1].value is None or metric.interval in WITHOUT:
        return None
    if metric.interval == "per_query":
        return _by_row(values[0], values[1], units=labels if groups is None else groups, seed=seed)
    difference = values[0].value - values[1].value

    def again(index: Index) -> float | None:
        parts = [evaluate_rows(metric, arguments, index) for arguments in (first, second)]
        return None if parts[0] is None or parts[1] is None else parts[0] - parts[1]

    repeat = {"u_statistic": block_jackknife, "halves": split_halves}.get(metric.interval, subsampling)
    if metric.interval == "halves" and groups is None:
        groups = drawn_classes(labels)
    rows = units_of(metric, labels, groups, rows=len(first["features"]))
    found: Estimate | None = repeat(again, difference, rows=rows, seed=seed)
    if found is None:
        return None
    low, high = found.interval(LEVEL)
    return PairedTest(
        difference=difference,
        ci_low=low,
        ci_high=high,
        p_value=found.p_value(),
        method=f"t test, {found.method}",
        n=values[0].n,
    )


def _by_row(first: MetricValue, second: MetricValue, *, units: Tensor | None, seed: int) -> PairedTest | None:
    parts = error_parts(first), error_parts(second)
    if parts[0] is None or parts[1] is None or len(parts[0]) != len(parts[1]):
        return None
    return paired_test(parts[0], parts[1], labels=labels_of_parts(first, units), seed=seed)
