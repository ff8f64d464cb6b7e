"""`granularity_slope`: do more (or fewer) clusters agree better with the classes than one for each class?"""

from __future__ import annotations

from statistics import fmean

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.agreement import adjusted_mutual_information
from repdiag.metrics.clusters.curve import checked, scores_by_seed, spread
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Positive, Seed

FACTORS = (0.5, 2.0, 4.0)


@metric(
    direction="context",
    bounds=(-2.0, 2.0),
    invariances={"rotation", "scale"},
    version=2,
    reference="vinh2010",
    interval="seeds",
    variants=tuple({"factor": factor} for factor in FACTORS),
)
def granularity_slope(
    features: Features,
    labels: Labels,
    *,
    factor: Positive = 2.0,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Granularity slope: ami at `factor` clusters a class less ami at one cluster a class.

    Formula:      AMI(round(factor C)) - AMI(C), both of the same rows and seeds; at least 2 clusters
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        -1 to 1 or so.  Better: context.
    Invariant:    rotation, scale.   Not invariant: translation; row order, as k-means starts from rows drawn by
                  number.
    Conventions:  as ami; the mean over `seeds` runs of the difference within each run. The interval is paired: both
                  numbers of clusters see the same halves of the rows. Undefined when both numbers are equal or exceed
                  half the rows.
    Read it as:   above 0 for factor 2 or 4: the space is finer than the classes. Above 0 for factor .5: it is coarser.
                  Below 0 for all: it is as fine as the classes. Near 0 for all: the curve is flat, and its peak
                  (granularity) means nothing.
    Limits:       islands of one class that lie closer together than islands of different classes stay in one cluster:
                  see islands.
    Cost:         that of the cluster metrics, whose k-means runs it shares.
    Reference:    ami: Vinh, Epps & Bailey 2010. Calibration on known islands: tests/closed_form/test_known_islands.py.
    Example:
        >>> import torch
        >>> noise = 0.05 * torch.randn(160, 8, generator=torch.Generator().manual_seed(0))
        >>> rows = torch.eye(8).repeat_interleave(20, dim=0) + noise
        >>> 0.1 < float(granularity_slope(rows, torch.tensor([0, 1, 2, 3] * 2).repeat_interleave(20))) < 0.6
        True
    """
    classes, rows = len(torch.unique(labels)), len(features)
    if classes < 2:
        return undefined("needs rows of two classes", n=rows, factor=factor)
    number = max(2, round(factor * classes))
    if number == classes:
        return undefined(f"{factor:g} times {classes} classes are {number} clusters again", n=rows, factor=factor)
    if max(number, classes) > rows // 2:
        return undefined(f"{max(number, classes)} clusters are too many for {rows} rows", n=rows, factor=factor)
    chosen = range(seed, seed + checked(seeds))
    at_factor, at_classes = (
        scores_by_seed(features, labels, adjusted_mutual_information, clusters=count, seeds=chosen, restarts=restarts)
        for count in (number, classes)
    )
    values = [first - second for first, second in zip(at_factor, at_classes, strict=True)]
    return MetricValue(
        value=fmean(values),
        n=rows,
        params={"factor": factor, "clusters": number},
        extra={
            "sd": spread(values),
            "seeds": len(values),
            "ami": fmean(at_factor),
            "ami_of_classes": fmean(at_classes),
        },
    )
