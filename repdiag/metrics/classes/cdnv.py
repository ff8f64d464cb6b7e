"""`cdnv`: class-distance normalised variance."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.classes.pair_means import squared_mean_distances
from repdiag.metrics.registry import metric

_SHOWN = 5  # pairs of classes that are named


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "translation", "row_order"},
    version=2,
    reference="galanti2022",
    interval="u_statistic",
)
def cdnv(features: Features, labels: Labels, *, normalize: bool = False) -> MetricValue:
    """CDNV: variance inside two classes over the squared distance of their means, averaged over pairs of classes.

    Formula:      mean_{a<b} (Var_a + Var_b) / (2 ||mu_a - mu_b||^2),  Var_c = mean_{i in c} ||x_i - mu_c||^2
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C]: mean over the pairs of each class.
    Range:        0 (collapsed classes) upwards without bound.  Better: lower.
    Invariant:    rotation, scale, translation, row order (normalize=True: not translation).
    Conventions:  raw rows unless normalize=True. Variance with ddof 0: a singleton class has variance 0 (counted in
                  extra) if other classes have one. Unordered pairs, unweighted. extra["most_alike"] lists the five
                  pairs of classes that overlap most: [label, label, value]. Rows far from the origin keep their digits
                  (version 1 was .005 % off at a distance of a million times the spread, and a factor of two at a
                  hundred times that).
    Read it as:   below about 0.1 a nearest-class-mean rule is hardly ever wrong. Above 1 classes overlap in most
                  directions taken together, though not necessarily in the useful ones.
    Limits:       grows with the number of noise dimensions. One pair of nearly equal means dominates the value; two
                  exactly equal means leave it undefined.
    Cost:         O(N D + C^2 D) time, O(C D + C^2) memory.
    Reference:    Galanti, Gyorgy & Hutter 2022, definition 1. Code compared: rhubarbwu/neural-collapse, measure.py.
                  Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0], [-1.0], [9.0], [11.0]])
        >>> float(cdnv(rows, torch.tensor([0, 0, 1, 1])))
        0.01
    """
    moments = class_moments(features, labels, normalize=normalize)
    classes = len(moments.counts)
    if classes < 2:
        return undefined("needs rows of two classes", n=len(features))
    singletons = int((moments.counts == 1).sum())
    if singletons == classes:
        return undefined("no class has two rows", n=len(features))
    distances = squared_mean_distances(moments)
    upper = torch.triu_indices(classes, classes, offset=1, device=distances.device)
    pairs = distances[upper[0], upper[1]]
    # Below this the difference of two means is rounding of the means themselves.
    floor = 1e-24 * float(moments.squares.sum() / moments.counts.sum())
    coincident = int((pairs <= floor).sum())
    if coincident:
        return undefined(f"{coincident} pairs of classes have the same mean", n=len(features))
    variances = moments.variances
    ratios = (variances[upper[0]] + variances[upper[1]]) / (2.0 * pairs)
    each = torch.zeros_like(variances)
    each.index_add_(0, upper[0], ratios).index_add_(0, upper[1], ratios)
    worst = ratios.topk(min(_SHOWN, len(ratios)))
    names = moments.labels[upper[:, worst.indices]].T.tolist()
    alike = [[*pair, value] for pair, value in zip(names, worst.values.tolist(), strict=True)]
    return MetricValue(
        value=float(ratios.mean()),
        n=len(features),
        per_class=each / (classes - 1),
        extra={"singleton_classes": singletons, "most_alike": alike},
    )
