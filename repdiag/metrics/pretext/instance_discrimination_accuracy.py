"""`instance_discrimination_accuracy`: does an image find its own view among all others?"""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Views
from repdiag.metrics.algebra.positive_pairs import Average, Pair, all_positive_pairs, ranked_pair_variants
from repdiag.metrics.pairwise import Pairing, PairRequest, PositiveRank, over_pairs, unit_rows
from repdiag.metrics.pretext.smaller_galleries import chances, ranks_that_count
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count

_COUNTED = 5  # ranks are counted this far even for top-1, so that top-1 to top-5 share one pass


def _wish(positives: Tensor, k: int, gallery: int | None) -> PositiveRank:
    far = max(k, _COUNTED) if gallery is None else ranks_that_count(len(positives), gallery, k=k)
    return PositiveRank(unit_rows(positives), far)


def gallery_requests(
    features: Tensor,
    views: Tensor,
    *,
    pair: Pair,
    k: int,
    average: Average | None = None,
    gallery: int | None = None,
) -> list[PairRequest]:
    """Return what the accuracy wants of the pairs of its gallery."""
    return [
        PairRequest(Pairing.within(unit_rows(anchors)), _wish(positives, k, gallery))
        for anchors, positives in all_positive_pairs(features, views, pair, average=average)
    ]


@metric(
    direction="higher",
    bounds=(0.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="shi2022",
    interval="per_query",
    variants=ranked_pair_variants,
    reductions=gallery_requests,
)
def instance_discrimination_accuracy(
    features: Features,
    views: Views,
    *,
    pair: Pair = "original-view",
    k: Count = 1,
    average: Average | None = None,
    gallery: Count | None = None,
) -> MetricValue:
    """Instance discrimination accuracy: the share of rows whose own view is nearer than every other row.

    Formula:      mean_i [ #{j != i : cos(z_i, z_j) >= cos(z_i, z_i^+)} < k ]
    Shapes:       features [N, D], views [V, N, D] -> scalar.
    Range:        k / N (chance) to 1.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  "original-view" (d-sd): query = original, positive = its view 1, negatives = all other originals.
                  "view-view" (sd-sd): query = view 1, positive = view 2, negatives = all other view 1. The row itself
                  is excluded by index. A tie with the positive counts as a miss; extra["ties"] counts the queries that
                  missed only for that. Ranks are exact: scores within rounding of the positive's are computed again in
                  float64. shi2022's code leaves the query among its candidates and reads top-(k + 1): the same number,
                  unless a row has an exact duplicate, which takes the place meant for the query itself.
                  average="views": the hit of an image is its mean over all its views (or over views 1 and 2, 3 and 4,
                  ...), which estimates the same quantity with less noise. gallery=n, at most N: the mean over all
                  galleries of n of the N rows, so that sets of different sizes can be compared: a query with a rows
                  ahead of its positive hits with the probability that fewer than k of them are among n - 1 rows drawn
                  from the N - 1 others (hypergeometric).
    Read it as:   the pretext task itself, without projector, queue or temperature.
    Limits:       falls as N grows: compare at equal gallery size only.
    Cost:         O(N^2 D / 2) multiply-adds, O(N D) memory; both pairs and all k share the passes of evaluate.
    Reference:    Shi et al. 2022; official code: WOWNICE/ssl-small, eval/instdisc.py.
                  Golden: tests/golden/test_golden_pairs.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
                  >>> float(instance_discrimination_accuracy(rows, rows[None] + 0.1))
                  1.0
    """
    count = len(features)
    if count <= k:
        return undefined(f"top-{k} of {count} candidates cannot fail", n=count)
    if gallery is not None and not k < gallery <= count:
        return undefined(f"galleries of {gallery} of {count} rows at top-{k}", n=count)
    smaller = None if gallery in {None, count} else gallery
    found = [
        over_pairs(unit_rows(anchors), _wish(positives, k, smaller))
        for anchors, positives in all_positive_pairs(features, views, pair, average=average)
    ]
    chance = None if smaller is None else chances(count, smaller, k=k).to(features.device)
    hits = torch.stack(
        [
            (each.ahead < k).double() if chance is None else chance[each.ahead.clamp(max=len(chance) - 1)]
            for each in found
        ]
    ).mean(dim=0)
    ties = sum(int(((each.ahead >= k) & (each.strictly_ahead < k)).sum()) for each in found)
    return MetricValue(value=float(hits.mean()), n=count, per_row=hits, extra={"ties": ties})
