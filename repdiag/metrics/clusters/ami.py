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
    Conventions:  Euclidean k-means on unit rows with K = clusters (None: one for each class); mean over `seeds` runs,
                  each the best of `restarts` starts; the spread over the runs is in extra. Arithmetic mean of the
                  entropies; exact expectation under the hypergeometric model.
    Read it as:   comparable between unlike K: where it peaks along the over-cluster curve is the granularity of the
                  space.
    Limits:       with nearly as many clusters as rows the adjustment leaves little room, and the value is noisy.
    Cost:         O(N K D) time for each iteration of k-means, shared by all cluster metrics; O(N D + K D) memory.
                  Where a step takes more than 2^25 products, all numbers of clusters share their starts (one beyond 500
                  clusters), and iterations end where one lowers the objective by less than a ten-thousandth:
                  since version 4, while since version 3 exact copies of rows leave fewer clusters empty.
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
