"""`uniformity_subsampled`: the published estimator of uniformity."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features
from repdiag.metrics.hypersphere.uniformity import uniformity
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Positive, Seed


@metric(
    direction="lower",
    bounds=(-float("inf"), 0.0),
    invariances={"rotation", "scale"},
    version=1,
    reference="shi2022",
    interval="none",
    default=False,
)
def uniformity_subsampled(
    features: Features, *, t: Positive = 2.0, size: Count = 128, subsets: Count = 3, seed: Seed = 0
) -> MetricValue:
    """Uniformity as shi2022 estimates it: the mean of the uniformities of three random subsets of 128 rows.

    Formula:      mean_{s=1..3} log mean_{i<j in S_s} exp(-t ||z_i - z_j||^2),  S_s disjoint random subsets
    Shapes:       features [N, D] -> scalar (nats).
    Range:        as uniformity.  Better: lower, at equal D only.
    Invariant:    rotation, scale.   Not invariant: translation, row order (the draw names row numbers).
    Conventions:  one permutation, drawn from `seed` on the CPU and cut into disjoint subsets. The logarithms are
                  averaged, which lies below the logarithm of the average by half the relative variance of a subset's
                  mean.
    Read it as:   only for comparison with published tables. Its standard deviation over seeds is about .012, so
                  differences below .03 are noise. Otherwise use uniformity, which is exact.
    Limits:       needs size x subsets rows.
    Cost:         O(subsets size^2 D) time.
    Reference:    Shi et al. 2022; official code: WOWNICE/ssl-small, eval/stats-dist.py.
                  Golden: tests/golden/test_golden_pairs.py.
    Example:      >>> import torch
                  >>> uniformity_subsampled(torch.eye(400)).n
                  384
    """
    if len(features) < size * subsets:
        return undefined(f"{subsets} subsets of {size} need {size * subsets} rows", n=len(features))
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    chosen = order[: size * subsets].to(features.device).view(subsets, size)
    values = [float(uniformity(features[rows], t=t)) for rows in chosen]
    return MetricValue(value=sum(values) / subsets, n=size * subsets)
