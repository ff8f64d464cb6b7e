"""`ari`: adjusted Rand index: agreement over pairs of rows beyond chance."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.agreement import adjusted_rand_index
from repdiag.metrics.clusters.curve import clustering_score, curve_variants
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed


@metric(
    direction="higher",
    bounds=(-0.5, 1.0),
    invariances={"rotation", "scale"},
    version=4,
    reference="hubert1985",
    interval="seeds",
    variants=curve_variants,
)
def ari(
    features: Features,
    labels: Labels,
    *,
    clusters: Count | None = None,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Adjusted Rand index: agreement over pairs of rows beyond chance.

    Formula:      (sum_ck C(n_ck, 2) - E) / ((sum_c C(n_c, 2) + sum_k C(n_k, 2)) / 2 - E),  E = sum_c C(n_c, 2) sum_k
                  C(n_k, 2) / C(N, 2)
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        -0.5 over 0 (chance) to 1 (the same grouping).  Better: higher.
    Invariant:    rotation, scale.   Not invariant: translation; row order, as k-means starts from rows drawn by
                  number.
    Conventions:  Euclidean k-means on unit rows; K = clusters (None: one for each class). The value is the mean over
                  `seeds` runs, each run the best of `restarts` starts; extra holds the spread over the runs. C(n, 2) =
                  n (n - 1) / 2. The value is 1 when both groupings have one group, or single rows only.
    Read it as:   like ami, with more weight on large groups.
    Limits:       falls faster than ami when classes are split into islands.
    Cost:         O(N K D) time for each iteration of k-means, which all cluster metrics share; O(N D + K D) memory.
                  Large problems (more than 2^25 products a step) use one set of starts for all numbers of clusters, a
                  single start beyond 500 clusters, and stop once an iteration lowers the objective by less than one
                  part in 10,000 (since version 4). Exact copies of rows leave fewer clusters empty since version 3.
    Reference:    Hubert & Arabie 1985. Code compared: scikit-learn. Golden: tests/golden/test_golden_clusters.py.
    Example:
        >>> import torch
        >>> rows = torch.eye(2).repeat_interleave(4, dim=0)
        >>> round(float(ari(rows, torch.arange(2).repeat_interleave(4))), 6)
        1.0
    """
    return clustering_score(
        features, labels, adjusted_rand_index, clusters=clusters, seed=seed, seeds=seeds, restarts=restarts
    )
