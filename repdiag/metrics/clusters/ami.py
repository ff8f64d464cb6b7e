"""`ami`: adjusted mutual information: mutual information beyond chance."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.agreement import adjusted_mutual_information
from repdiag.metrics.clusters.curve import clustering_score, curve_variants
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed


@metric(
    direction="higher",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale"},
    version=4,
    reference="vinh2010",
    interval="seeds",
    variants=curve_variants,
)
def ami(
    features: Features,
    labels: Labels,
    *,
    clusters: Count | None = None,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Adjusted mutual information: mutual information beyond chance.

    Formula:      (I - E[I]) / ((H(class) + H(cluster)) / 2 - E[I]),  E over groupings at random with the same sizes
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        about 0 (chance; may be slightly negative) to 1 (the same grouping).  Better: higher.
    Invariant:    rotation, scale.   Not invariant: translation; row order, as k-means starts from rows drawn by
                  number.
    Conventions:  Euclidean k-means on unit rows; K = clusters (None: one for each class). The value is the mean over
                  `seeds` runs, each run the best of `restarts` starts; extra holds the spread over the runs. Arithmetic
                  mean of the entropies; exact expectation under the hypergeometric model.
    Read it as:   values at different K can be compared. The K at which the over-cluster curve peaks is the granularity
                  of the space.
    Limits:       noisy when there are nearly as many clusters as rows, because the adjustment then leaves little room.
    Cost:         O(N K D) time for each iteration of k-means, which all cluster metrics share; O(N D + K D) memory.
                  Large problems (more than 2^25 products a step) use one set of starts for all numbers of clusters, a
                  single start beyond 500 clusters, and stop once an iteration lowers the objective by less than one
                  part in 10,000 (since version 4). Exact copies of rows leave fewer clusters empty since version 3.
    Reference:    Vinh, Epps & Bailey 2010, eq. 24. Code compared: scikit-learn. Golden:
                  tests/golden/test_golden_clusters.py.
    Example:
        >>> import torch
        >>> rows = torch.eye(2).repeat_interleave(4, dim=0)
        >>> round(float(ami(rows, torch.arange(2).repeat_interleave(4))), 6)
        1.0
    """
    return clustering_score(
        features, labels, adjusted_mutual_information, clusters=clusters, seed=seed, seeds=seeds, restarts=restarts
    )
