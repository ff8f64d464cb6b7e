"""`class_distance_ratio`: distance inside classes over distance between them."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.classes.pair_means import Average, mean_between, mean_within, within_each_class
from repdiag.metrics.registry import metric

_ONE_POINT = "all rows are the same point in float64 (subtract an offset?): there is no distance between classes"


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="shi2022",
    interval="u_statistic",
)
def class_distance_ratio(features: Features, labels: Labels, *, average: Average = "classes") -> MetricValue:
    """Class distance ratio: intra_class_distance over inter_class_distance.

    Formula:      mean_c mean_{i<j in c} ||z_i - z_j||^2 / mean_{a<b} mean_{i in a, j in b} ||z_i - z_j||^2
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C]: each class's own distance over the same mean.
    Range:        0 (collapsed classes) to 1 (classes no tighter than chance).  Better: lower. Slightly above 1 is
                  noise.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as in the two distances. Randomly permuted labels give 1 in expectation.
    Read it as:   near 1 while alignment is small: views of one image are close, but images of one class are not. That
                  is the first sign of over-clustering.
    Limits:       a ratio of two means: a few far classes weigh as much as many near ones.
    Cost:         O(N D) time, O(C D) memory.
    Reference:    Shi et al. 2022, section 3. Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 3.0]])
        >>> float(class_distance_ratio(rows, torch.tensor([0, 0, 1, 1])))
        0.0
    """
    moments = class_moments(features, labels, normalize=True)
    repeated = moments.keep(moments.counts >= 2)
    if len(moments.counts) < 2:
        return undefined("needs rows of two classes", n=len(features))
    if len(repeated.counts) == 0:
        return undefined("no class has two rows", n=len(features))
    between = mean_between(moments, average)
    if between <= 1e-12:  # squared distances of unit rows: below float64 rounding of the two sums it is zero
        return undefined(_ONE_POINT, n=len(features))
    return MetricValue(
        value=mean_within(repeated, average) / between,
        n=len(features),
        per_class=within_each_class(moments) / between,
        extra={"singleton_classes": len(moments.counts) - len(repeated.counts)},
    )
