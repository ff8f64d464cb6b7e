"""The interval of a metric on the bank minus the same on the rows: two sets of images, drawn independently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.means import difference_estimate, two_sets_interval
from repdiag.metrics.inference.units import are_classes
from repdiag.metrics.registry import Metric, get

EstimateOf = Callable[..., Estimate | None]


def two_sets_ends(
    metric: Metric,
    value: MetricValue,
    arguments: Mapping[str, Any],
    *,
    estimate: EstimateOf,
    groups: Tensor | None = None,
    seed: int = 0,
    level: float = LEVEL,
) -> MetricValue:
    """Return the value with its interval, from the errors of both sides (`estimate` makes them)."""
    found = two_sets_estimates(metric, arguments, estimate=estimate, groups=groups, seed=seed)
    if found is None or value.value is None:
        return value
    if isinstance(found, Estimate):
        joined, (low, high) = found, found.interval(level)
    else:
        counts = len(arguments["other_features"]), len(arguments["features"])
        joined, (low, high) = difference_estimate(*found), two_sets_interval(found, rows=counts, level=level)
    lowest, highest = metric.bounds
    return replace(
        value,
        ci_low=min(value.value, max(low, lowest)),
        ci_high=max(value.value, min(high, highest)),
        ci_method=joined.method,
    )


def two_sets_estimates(
    metric: Metric, arguments: Mapping[str, Any], *, estimate: EstimateOf, groups: Tensor | None, seed: int
) -> Estimate | tuple[Estimate, Estimate] | None:
    """Return the estimates on the bank and on the rows, or one of their difference where classes were drawn.

    Then both sides show the same classes, and what differs from class to class is the difference in each.
    """
    assert metric.sides is not None
    labels = arguments.get("other_labels"), arguments.get("labels")
    sides = [(get(name), given) for name, given in metric.sides(**arguments)]
    values = [each.function(**given) for each, given in sides]
    if any(value.value is None for value in values):
        return None
    if groups is not None and labels[1] is not None and labels[0] is not None and are_classes(groups, labels[1]):
        return _by_class(values, labels[0], labels[1])
    found = [
        estimate(each, value, given, labels=label, groups=units, seed=seed)
        for (each, given), value, label, units in zip(sides, values, labels, (None, groups), strict=True)
    ]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _by_class(values: list[MetricValue], bank_labels: Tensor, labels: Tensor) -> Estimate | None:
    """Return the difference with the spread of the classes' differences as its error."""
    means = []
    for value, label in zip(values, (bank_labels, labels), strict=True):
        if value.per_row is None:
            return None
        known = label if value.rows is None else label[value.rows]
        names, index, counts = torch.unique(known, return_inverse=True, return_counts=True)
        sums = value.per_row.new_zeros(len(names), dtype=torch.float64).index_add_(0, index, value.per_row.double())
        means.append(dict(zip(names.tolist(), (sums / counts).tolist(), strict=True)))
    shared = sorted(means[0].keys() & means[1].keys())
    if len(shared) < 2:
        return None
    differences = torch.tensor([means[0][name] - means[1][name] for name in shared], dtype=torch.float64)
    return Estimate(
        value=float(values[0]) - float(values[1]),
        error=float(differences.std()) / len(shared) ** 0.5,
        freedom=len(shared) - 1.0,
        method="differences of the classes, which were drawn",
    )
