"""`granularity`: at how many clusters a class is the space organised?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.agreement import adjusted_mutual_information
from repdiag.metrics.clusters.curve import checked, cluster_numbers, peak, scores_by_seed, spread
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed

CENTRE = 0.75  # of the height of the peak, from which on the curve counts for its centre
_ROUNDING = 1e-9  # an ami that is 0 comes out as some 1e-16 of either sign


def half_steps(curve: Mapping[int, Sequence[float]]) -> tuple[int, ...]:
    """Return the numbers halfway, on a log scale, between the highest point of the curve and its neighbours.

    The curve rises steeply to its peak and falls slowly after it: over whole steps a parabola finds it a fifth late.
    """
    numbers = sorted(curve)
    top = numbers.index(max(numbers, key=lambda number: fmean(curve[number])))
    beside = numbers[max(0, top - 1) : top] + numbers[top + 1 : top + 2]
    return tuple(round(math.sqrt(number * numbers[top])) for number in beside)


def curve_centre(ami_by_clusters: Mapping[str, float], classes: int) -> float:
    """Return where the upper part of the AMI curve has its centre, in clusters a class.

    Formula: exp(sum_K w_K log K / sum_K w_K) / C, w_K = max(0, AMI(K) - 3/4 max AMI) times the width of K's place in
    log K. Two encoders are compared by it: its error is a third of that of the peak, which any point of a flat curve
    can be; it moves less than the peak does, since the curve ends. `ami_by_clusters` is what `granularity` keeps in
    extra.
    """
    numbers = np.array([float(number) for number in ami_by_clusters])
    order = np.argsort(numbers)
    logs, heights = np.log(numbers[order]), np.array(list(ami_by_clusters.values()))[order]
    weights = np.clip(heights - CENTRE * heights.max(), 0.0, None) * np.gradient(logs)
    return float(np.exp(weights @ logs / weights.sum())) / classes


@metric(
    direction="context",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale"},
    version=4,
    reference="vinh2010",
    interval="seeds",
)
def granularity(
    features: Features,
    labels: Labels,
    *,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Granularity: the number of clusters at which ami peaks, over the number of classes.

    Formula:      argmax_K AMI(K) / C,  K in C/4 ... 16 C, interpolated by a parabola on log K through the highest
                  point
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        1/4 to 16, less where half the rows are fewer than 16 C.  1: one cluster a class; above: islands
                  within classes; below: merged classes.
    Invariant:    rotation, scale.   Not invariant: translation, row order.
    Conventions:  the ami curve is the mean over `seeds` runs. extra holds the curve, the spread of the peaks of the
                  single runs, and at_edge: the curve is highest at an end of the range, so that the value is only a
                  bound.
    Read it as:   about 4 for a space that splits each class into four equally large islands.
    Limits:       a flat curve can peak anywhere: look at the curve and at the height of the peak.
    Cost:         that of the cluster metrics, whose k-means runs it shares.
    Reference:    ami: Vinh, Epps & Bailey 2010. Calibration on known islands:
                  tests/closed_form/test_known_islands.py.
    Example:
        >>> import torch
        >>> noise = 0.05 * torch.randn(160, 8, generator=torch.Generator().manual_seed(0))
        >>> rows = torch.eye(8).repeat_interleave(20, dim=0) + noise
        >>> value = granularity(rows, torch.arange(4).repeat_interleave(40))
        >>> 1.5 < float(value) < 3.0
        True
    """
    classes, rows = len(torch.unique(labels)), len(features)
    if classes < 2:
        return undefined("needs rows of two classes", n=rows)
    numbers = cluster_numbers(classes, rows)
    if len(numbers) < 2:
        return undefined(f"{rows} rows are too few for a curve over {classes} classes", n=rows)
    chosen = range(seed, seed + checked(seeds))

    def scores(number: int) -> list[float]:
        return scores_by_seed(
            features, labels, adjusted_mutual_information, clusters=number, seeds=chosen, restarts=restarts
        )

    curve = {number: scores(number) for number in numbers}
    if max(map(fmean, curve.values())) <= _ROUNDING:
        return undefined("no number of clusters agrees with the classes beyond chance", n=rows)
    curve |= {number: scores(number) for number in half_steps(curve) if number not in curve}
    numbers = tuple(sorted(curve))
    means = [fmean(curve[number]) for number in numbers]
    position, at_edge = peak(numbers, means)
    single = [peak(numbers, run)[0] / classes for run in zip(*(curve[number] for number in numbers), strict=True)]
    return MetricValue(
        value=position / classes,
        n=rows,
        extra={
            "sd": spread(single),
            "seeds": len(single),
            "at_edge": at_edge,
            "ami": {str(number): mean for number, mean in zip(numbers, means, strict=True)},
        },
    )
