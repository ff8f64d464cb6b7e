"""`inter_class_distance`: how far apart images of different classes lie."""

from __future__ import annotations

from typing import Literal

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.algebra.moments import class_moments
from repdiag.metrics.classes.pair_means import Average, mean_between, squared_mean_distances
from repdiag.metrics.registry import metric


@metric(
    direction="higher",
    bounds=(0.0, 4.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="shi2022",
    interval="u_statistic",
)
def inter_class_distance(
    features: Features,
    labels: Labels,
    *,
    average: Average = "classes",
    between: Literal["rows", "means"] = "rows",
) -> MetricValue:
    """Inter-class distance: mean squared distance between unit rows of different classes.

    Formula:      mean_{a<b} mean_{i in a, j in b} ||z_i - z_j||^2 = mean_{a<b} (2 - 2 m_a . m_b),  z = features /
                  ||features||
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 (everything in one point) over 2 (classes in unrelated directions) to 2 + 2/(C - 1) (simplex of
                  collapsed classes).  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  between="rows" takes pairs of rows. between="means" takes the class means m_c (not normalised again),
                  which leaves out the spread inside classes. Unweighted mean over pairs of classes (average="classes")
                  or over pairs of rows (average="pairs"). Singleton classes count. Float64.
    Read it as:   the scale for intra_class_distance; see class_distance_ratio.
    Limits:       a mean over all pairs of classes: two merged classes among a hundred do not show.
    Cost:         O(N D) time, O(C D) memory (O(C^2) for between="means").
    Reference:    Shi et al. 2022, section 3. Golden: tests/golden/test_golden_classes.py.
    Example:
        >>> import torch
        >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
        >>> float(inter_class_distance(rows, torch.tensor([0, 1, 1])))
        2.0
    """
    moments = class_moments(features, labels, normalize=True)
    classes = len(moments.counts)
    if classes < 2:
        return undefined("needs rows of two classes", n=len(features))
    if between == "means":
        distances = squared_mean_distances(moments)
        value = float(distances.sum() / (classes * (classes - 1)))
    else:
        value = mean_between(moments, average)
    return MetricValue(value=value, n=len(features))
