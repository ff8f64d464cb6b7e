"""`completeness`: completeness: how far every class lies in one cluster only."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters import agreement
from repdiag.metrics.clusters.curve import clustering_score, curve_variants
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale"},
    version=4,
    reference="rosenberg2007",
    interval="seeds",
    variants=curve_variants,
)
def completeness(
    features: Features,
    labels: Labels,
    *,
    clusters: Count | None = None,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Completeness: how far every class lies in one cluster only.

    Formula:      1 - H(cluster | class) / H(cluster) = I / H(cluster)
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        0 to 1.  Better: higher, at one K only.
    Invariant:    rotation, scale.   Not invariant: translation; row order, as k-means starts from rows drawn by
                  number.
    Conventions:  Euclidean k-means on unit rows; K = clusters (None: one for each class). The value is the mean over
                  `seeds` runs, each run the best of `restarts` starts; extra holds the spread over the runs. The base
                  of the logarithm cancels. The value is 1 when no class is split.
    Read it as:   low while homogeneity is high: over-clustered. High while homogeneity is low: classes merge.
    Limits:       falls with K as soon as K exceeds the number of islands.
    Cost:         O(N K D) time for each iteration of k-means, which all cluster metrics share; O(N D + K D) memory.
                  Large problems (more than 2^25 products a step) use one set of starts for all numbers of clusters, a
                  single start beyond 500 clusters, and stop once an iteration lowers the objective by less than one
                  part in 10,000 (since version 4). Exact copies of rows leave fewer clusters empty since version 3.
    Reference:    Rosenberg & Hirschberg 2007. Code compared: scikit-learn. Golden:
                  tests/golden/test_golden_clusters.py.
    Example:
        >>> import torch
        >>> rows = torch.eye(2).repeat_interleave(4, dim=0)
        >>> round(float(completeness(rows, torch.arange(2).repeat_interleave(4))), 6)
        1.0
    """
    return clustering_score(
        features, labels, agreement.completeness, clusters=clusters, seed=seed, seeds=seeds, restarts=restarts
    )
