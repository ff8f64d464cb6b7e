"""The over-cluster curve: one agreement score at many numbers of clusters, each the mean of several seeded runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from repdiag.core.errors import ConfigError
from repdiag.core.metric_value import MetricValue, undefined
from repdiag.metrics.clusters.contingency import Contingency, contingency
from repdiag.metrics.clusters.kmeans import runs
from repdiag.metrics.effort import current_effort
from repdiag.metrics.registry import Sizes

Measure = Callable[[Contingency], float]


def cluster_numbers(classes: int, rows: int) -> tuple[int, ...]:
    """Return the numbers of clusters of the curve: at least 2, at most half the rows, ascending, each once."""
    wanted = {max(2, round(classes * factor)) for factor in current_effort().factors}
    return tuple(sorted(number for number in wanted if number <= rows // 2))


def curve_variants(sizes: Sizes) -> Sequence[dict[str, Any]]:
    """Return the settings of the whole curve, for `evaluate`."""
    return [{"clusters": number} for number in cluster_numbers(sizes.classes or 0, sizes.rows)]


def scores_by_seed(
    features: Tensor, labels: Tensor, measure: Measure, *, clusters: int, seeds: Sequence[int], restarts: int
) -> list[float]:
    """Return the score of each seeded clustering against the labels."""
    truth = labels.cpu().numpy()
    found = runs(features, clusters, seeds=seeds, restarts=restarts)
    return [measure(contingency(truth, assignment)) for assignment in found]


def clustering_score(
    features: Tensor,
    labels: Tensor,
    measure: Measure,
    *,
    clusters: int | None,
    seed: int,
    seeds: int,
    restarts: int,
) -> MetricValue:
    """Return the mean score over `seeds` runs, with its spread in `extra`; `clusters` None is one for each class."""
    classes, rows = len(torch.unique(labels)), len(features)
    number = classes if clusters is None else clusters
    if classes < 2:
        return undefined("needs rows of two classes", n=rows, clusters=number)
    if not 1 <= number <= rows:
        return undefined(f"{number} clusters of {rows} rows", n=rows, clusters=number)
    chosen = range(seed, seed + checked(seeds))
    values = scores_by_seed(features, labels, measure, clusters=number, seeds=chosen, restarts=restarts)
    return MetricValue(
        value=fmean(values),
        n=rows,
        params={"clusters": number},
        extra={"sd": spread(values), "seeds": len(values), "per_class_clusters": number / classes},
    )


def checked(seeds: int) -> int:
    """Return the number of runs, which must be positive."""
    if seeds < 1:
        raise ConfigError("seeds is the number of runs and must be at least 1", found=str(seeds))
    return seeds


def spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation over runs (ddof 1), None for a single run."""
    return stdev(values) if len(values) > 1 else None


def peak(numbers: Sequence[int], scores: Sequence[float]) -> tuple[float, bool]:
    """Return where the scores peak on a log scale of the numbers, and whether that is an end of the range.

    The maximum of the parabola through the highest point and its two neighbours, in log numbers.
    """
    top = max(range(len(scores)), key=scores.__getitem__)
    if top in (0, len(scores) - 1):
        return float(numbers[top]), True
    x0, x1, x2 = (math.log(numbers[top + step]) for step in (-1, 0, 1))
    left = (scores[top] - scores[top - 1]) / (x1 - x0)
    right = (scores[top + 1] - scores[top]) / (x2 - x1)
    # The parabola's slope is `left` midway between the first two points and `right` midway between the last two.
    first, second = 0.5 * (x0 + x1), 0.5 * (x1 + x2)
    if left == right:
        return float(numbers[top]), False
    return math.exp(first + (second - first) * left / (left - right)), False
