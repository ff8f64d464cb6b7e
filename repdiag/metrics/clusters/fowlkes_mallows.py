"""`fowlkes_mallows`: fowlkes-Mallows index: pair precision and pair recall of the clusters."""

from __future__ import annotations

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.agreement import fowlkes_mallows_index
from repdiag.metrics.clusters.curve import clustering_score, curve_variants
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale"},
    version=4,
    reference="fowlkes1983",
    interval="seeds",
    variants=curve_variants,
)
def fowlkes_mallows(
    features: Features,
    labels: Labels,
    *,
    clusters: Count | None = None,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Fowlkes-Mallows index: pair precision and pair recall of the clusters.

    Formula:      TP / sqrt((TP + FP)(TP + FN)),  TP = sum_ck C(n_ck, 2),  TP + FP = sum_k C(n_k, 2),  TP + FN = sum_c
                  C(n_c, 2)
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 to 1.  Better: higher, at one K only.
    Invariant:    rotation, scale.   Not invariant: translation; row order, as k-means starts from rows drawn by
                  number.
    Conventions:  Euclidean k-means on unit rows; K = clusters (None: one for each class). The value is the mean over
                  `seeds` runs, each run the best of `restarts` starts; extra holds the spread over the runs. It counts
                  pairs of rows, C(n, 2) = n (n - 1) / 2, and is 0 when no pair shares both a cluster and a class.
    Read it as:   how well "same cluster" predicts "same class", and the other way round.
    Limits:       not corrected for chance: a few large clusters already score well.
    Cost:         O(N K D) time for each iteration of k-means, which all cluster metrics share; O(N D + K D) memory.
                  Large problems (more than 2^25 products a step) use one set of starts for all numbers of clusters, a
                  single start beyond 500 clusters, and stop once an iteration lowers the objective by less than one
                  part in 10,000 (since version 4). Exact copies of rows leave fewer clusters empty since version 3.
    Reference:    Fowlkes & Mallows 1983. Code compared: scikit-learn. Golden: tests/golden/test_golden_clusters.py.
    Example:
        >>> import torch
        >>> rows = torch.eye(2).repeat_interleave(4, dim=0)
        >>> round(float(fowlkes_mallows(rows, torch.arange(2).repeat_interleave(4))), 6)
        1.0
    """
    if len(torch.unique(labels)) == len(labels):
        return undefined("no class has two rows", n=len(features))
    return clustering_score(
        features, labels, fowlkes_mallows_index, clusters=clusters, seed=seed, seeds=seeds, restarts=restarts
    )
