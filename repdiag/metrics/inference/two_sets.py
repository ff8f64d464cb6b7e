"""The interval of a metric on the bank minus the same on the rows: two sets of images, drawn independently."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.estimate import LEVEL, Estimate
from repdiag.metrics.inference.means import difference_estimate, two_sets_interval
from repdiag.metrics.inference.units import are_classes
from repdiag.metrics.registry import Metric, Sides, get

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
    sides = metric.sides(**arguments)
    values = [[get(part.metric).function(**part.arguments) for part in side] for side in sides]
    if any(value.value is None for side in values for value in side):
        return None
    if groups is not None and labels[1] is not None and labels[0] is not None and are_classes(groups, labels[1]):
        return _by_class(sides, values, (labels[0], labels[1]))
    found = []
    for parts, mine, label, units in zip(sides, values, labels, (None, groups), strict=True):
        each = [
            estimate(
                get(part.metric),
                value,
                part.arguments,
                labels=_of_rows(label, part.rows),
                groups=_of_rows(units, part.rows),
                seed=seed,
            )
            for part, value in zip(parts, mine, strict=True)
        ]
        known = [item for item in each if item is not None]
        found.append(mean_of_galleries(known, independent=units is None) if len(known) == len(each) else None)
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def mean_of_galleries(found: Sequence[Estimate], *, independent: bool) -> Estimate:
    """Return the mean of the values of galleries that share no row; of ones that share groups, as if they were one.

    Error^2 = sum_g e_g^2 / G^2, with Satterthwaite's degrees of freedom; where groups reach across, the mean of e_g^2.
    """
    if len(found) == 1:
        return found[0]
    squares = [each.error**2 for each in found]
    total, fourth = sum(squares), sum(part**2 / each.freedom for part, each in zip(squares, found, strict=True))
    count = len(found)
    return Estimate(
        value=sum(each.value for each in found) / count,
        error=(total / count) ** 0.5 / (count**0.5 if independent else 1.0),
        freedom=total**2 / fourth if independent and fourth > 0.0 else found[0].freedom,
        method=f"{found[0].method}, in {count} galleries",
    )


def _of_rows(values: Tensor | None, rows: Tensor | None) -> Tensor | None:
    return values if values is None or rows is None else values[rows]


def _by_class(sides: Sides, values: Sequence[Sequence[MetricValue]], labels: tuple[Tensor, Tensor]) -> Estimate | None:
    """Return the difference with the spread of the classes' differences as its error."""
    means = []
    for parts, mine, label in zip(sides, values, labels, strict=True):
        if any(value.per_row is None for value in mine):
            return None
        per_row = torch.cat([value.per_row.double() for value in mine if value.per_row is not None])
        own = [label if part.rows is None else label[part.rows] for part in parts]
        pairs = zip(own, mine, strict=True)
        known = torch.cat([each if value.rows is None else each[value.rows] for each, value in pairs])
        names, index, counts = torch.unique(known, return_inverse=True, return_counts=True)
        sums = per_row.new_zeros(len(names)).index_add_(0, index, per_row)
        means.append(dict(zip(names.tolist(), (sums / counts).tolist(), strict=True)))
    shared = sorted(means[0].keys() & means[1].keys())
    if len(shared) < 2:
        return None
    differences = torch.tensor([means[0][name] - means[1][name] for name in shared], dtype=torch.float64)
    ends = [sum(float(value) for value in mine) / len(mine) for mine in values]
    return Estimate(
        value=ends[0] - ends[1],
        error=float(differences.std()) / len(shared) ** 0.5,
        freedom=len(shared) - 1.0,
        method="differences of the classes, which were drawn",
    )
