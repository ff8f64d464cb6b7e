"""`kmeans_purity`: purity of k-means clusters: share of rows in the majority class of their cluster."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue
from repdiag.core.shapes import Features, Labels
from repdiag.metrics.clusters.agreement import purity
from repdiag.metrics.clusters.curve import clustering_score, curve_variants
from repdiag.metrics.clusters.kmeans import RESTARTS, SEEDS
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count, Seed


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale"},
    version=4,
    reference="manning2008",
    interval="seeds",
    variants=curve_variants,
)
def kmeans_purity(
    features: Features,
    labels: Labels,
    *,
    clusters: Count | None = None,
    seed: Seed = 0,
    seeds: Count = SEEDS,
    restarts: Count = RESTARTS,
) -> MetricValue:
    """Purity of k-means clusters: share of rows in the majority class of their cluster.

    Formula:      1/N sum_k max_c n_ck,  n_ck = rows of class c in cluster k
    Shapes:       features [N, D], labels [N] -> scalar.
    Range:        1/C (clusters unrelated to equal classes, few of them) to 1.  Better: higher, at one K only.
    Invariant:    rotation, scale.   Not invariant: translation; row order, as k-means starts from rows drawn by
                  number.
    Conventions:  Euclidean k-means on unit rows; K = clusters (None: one for each class). The value is the mean over
                  `seeds` runs, each run the best of `restarts` starts; extra holds the spread over the runs. It rises
                  with K and is 1 when every cluster is one row.
    Read it as:   with K well above the number of classes: whether small islands are pure, however many a class has.
    Limits:       compare at equal K only, and read a second score beside it.
    Cost:         O(N K D) time for each iteration of k-means, which all cluster metrics share; O(N D + K D) memory.
                  Large problems (more than 2^25 products a step) use one set of starts for all numbers of clusters, a
                  single start beyond 500 clusters, and stop once an iteration lowers the objective by less than one
                  part in 10,000 (since version 4). Exact copies of rows leave fewer clusters empty since version 3.
    Reference:    Manning, Raghavan & Schutze 2008, section 16.3. Code compared: scikit-learn. Golden:
                  tests/golden/test_golden_clusters.py.
    Example:
        >>> import torch
        >>> rows = torch.eye(2).repeat_interleave(4, dim=0)
        >>> round(float(kmeans_purity(rows, torch.arange(2).repeat_interleave(4))), 6)
        1.0
    """
    return clustering_score(features, labels, purity, clusters=clusters, seed=seed, seeds=seeds, restarts=restarts)
