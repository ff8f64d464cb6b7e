"""One metric on two checkpoints: the difference, with what is known of its error from the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.paired import PairedTest, paired_test
from repdiag.metrics.inference.resampling import (
    SPLITS,
    Evaluate,
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

_FEW_ROWS = 1000
_SPLITS_OF_MANY = 8  # a split costs half a pass over all pairs for each checkpoint; Student's t pays for fewer of them


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
    common cancels; queries that are each other's gallery both ways (`_unshared`). None where the metric has no interval
    or a value is undefined.
    """
    values = metric.function(**first), metric.function(**second)
    if values[0].value is None or values[1].value is None or metric.interval in WITHOUT:
        return None
    if metric.interval == "per_query":
        found = _by_row(values[0], values[1], units=labels if groups is None else groups, seed=seed)
        if found is None or not metric.own_gallery:
            return found
        return _unshared(metric, found, first, second, labels=labels, groups=groups, seed=seed)
    difference = values[0].value - values[1].value
    again = _difference(metric, first, second)
    repeat = {"u_statistic": block_jackknife, "halves": split_halves}.get(metric.interval, subsampling)
    if metric.interval == "halves" and groups is None:
        groups = drawn_classes(labels)
    rows = units_of(metric, labels, groups, rows=len(first["features"]))
    estimate: Estimate | None = repeat(again, difference, rows=rows, seed=seed)
    if estimate is None:
        return None
    low, high = estimate.interval(LEVEL)
    return PairedTest(
        difference=difference,
        ci_low=low,
        ci_high=high,
        p_value=estimate.p_value(),
        method=f"t test, {estimate.method}",
        n=values[0].n,
    )


def _unshared(
    metric: Metric,
    found: PairedTest,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    *,
    labels: Tensor | None,
    groups: Tensor | None,
    seed: int,
) -> PairedTest:
    """Return the test row by row, made as wide as one between halves of the classes that share no gallery.

    A class that a checkpoint draws nearer to another one costs both: their differences go together, which flipping the
    signs class by class takes for independent evidence. Halves see that, but miss the variation of a class among
    twice as many others; where they miss more than that (`Metric.classes_left_out`), classes are left out in turn,
    which errs on the wide side. Of all, the larger p-value and the wider interval.
    """
    count = len(first["features"])
    rows = units_of(metric, labels, drawn_classes(labels) if groups is None else groups, rows=count)
    again, splits = _difference(metric, first, second), SPLITS if count <= _FEW_ROWS else _SPLITS_OF_MANY
    estimates = [split_halves(again, found.difference, rows=rows, seed=seed, splits=splits)]
    if metric.classes_left_out:
        estimates.append(block_jackknife(again, found.difference, rows=rows, seed=seed))
    for estimate in estimates:
        found = _more_careful(found, estimate)
    return found


def _more_careful(found: PairedTest, estimate: Estimate | None) -> PairedTest:
    """Return the test with the larger p-value and the wider interval of the two."""
    if estimate is None:
        return replace(found, method=f"{found.method} (approximate: the gallery is shared)")
    low, high = estimate.interval(LEVEL)
    return replace(
        found,
        ci_low=min(found.ci_low, low),
        ci_high=max(found.ci_high, high),
        p_value=max(found.p_value, estimate.p_value()),
        method=f"{found.method} and {estimate.method}",
    )


def _difference(metric: Metric, first: Mapping[str, Any], second: Mapping[str, Any]) -> Evaluate:
    """Return the difference of a metric between two checkpoints as a function of the rows."""

    def again(index: Index) -> float | None:
        parts = [evaluate_rows(metric, arguments, index) for arguments in (first, second)]
        return None if parts[0] is None or parts[1] is None else parts[0] - parts[1]

    return again


def _by_row(first: MetricValue, second: MetricValue, *, units: Tensor | None, seed: int) -> PairedTest | None:
    parts = error_parts(first), error_parts(second)
    if parts[0] is None or parts[1] is None or len(parts[0]) != len(parts[1]):
        return None
    return paired_test(parts[0], parts[1], labels=labels_of_parts(first, units), seed=seed)
