"""`intra_class_distance`: how far apart the images of one class lie."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.classes.pair_means import Average, mean_within, within_each_class
from repdiag.metrics.registry import metric


@metric(
    direction="lower",
    bounds=(0.0, 4.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="shi2022",
    interval="u_statistic",
)
def intra_class_distance(features: Features, labels: Labels, *, average: Average = "classes") -> MetricValue:
    """Intra-class distance: mean squared distance between unit rows of the same class.

    Formula:      mean_c mean_{i<j in c} ||z_i - z_j||^2 = mean_c 2 (1 - ||m_c||^2) n_c/(n_c - 1),  z = features /
                  ||features||
    Shapes:       features [N, D], labels [N] -> scalar; per_class [C].
    Range:        0 (each class one point) to about 2 (rows of a class no closer than random ones).  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  pairs i<j, self-pairs excluded. Unweighted mean over classes (average="classes") or over all pairs of
                  the same class (average="pairs"); the two are equal if all classes have the same size. A class of one
                  row has no pair; it is left out and counted in extra. Rows are normalised here. Float64.
    Read it as:   the "intra-class alignment" of shi2022. Read it beside inter_class_distance: on its own it also falls
                  when everything collapses, and across recipes of one architecture it can rise with accuracy.
    Limits:       squared distances only. It does not show how a class is split: four tight islands and one cloud can
                  give the same value.
    Cost:         O(N D) time, O(C D) memory.
    Reference:    Shi et al. 2022, section 3. Official code: WOWNICE/ssl-small, eval/stats-dist.py.
                  Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-1.0, 0.0]])
        >>> float(intra_class_distance(rows, torch.tensor([0, 0, 1, 1])))
        1.0
    """
    every = class_moments(features, labels, normalize=True)
    moments = every.keep(every.counts >= 2)
    excluded = {"singleton_classes": len(every.counts) - len(moments.counts)}
    if len(moments.counts) == 0:
        return undefined("no class has two rows", n=len(features))
    return MetricValue(
        value=mean_within(moments, average),
        n=len(features),
        per_class=within_each_class(every),
        extra=excluded,
    )
