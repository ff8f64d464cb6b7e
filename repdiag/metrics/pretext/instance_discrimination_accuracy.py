"""`instance_discrimination_accuracy`: does an image find its own view among all others?"""

from __future__ import annotations

from torch import Tensor

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Views
from repdiag.metrics.algebra.positive_pairs import Pair, positive_pairs, ranked_pair_variants
from repdiag.metrics.pairwise import Pairing, PairRequest, PositiveRank, over_pairs, unit_rows
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Count

_COUNTED = 5  # ranks are counted this far even for top-1, so that top-1 to top-5 share one pass


def _wish(positives: Tensor, k: int) -> PositiveRank:
    return PositiveRank(unit_rows(positives), max(k, _COUNTED))


def gallery_requests(features: Tensor, views: Tensor, *, pair: Pair, k: int) -> list[PairRequest]:
    """Return what the accuracy wants of the pairs of its gallery."""
    anchors, positives = positive_pairs(features, views, pair)
    return [PairRequest(Pairing.within(unit_rows(anchors)), _wish(positives, k))]


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
    features: Features, views: Views, *, pair: Pair = "original-view", k: Count = 1
) -> MetricValue:
    """Instance discrimination accuracy: the share of rows whose own view is nearer than every other row.

    Formula:      mean_i [ #{j != i : cos(z_i, z_j) >= cos(z_i, z_i^+)} < k ]
    Shapes:       features [N, D], views [V, N, D] -> scalar.
    Range:        k / N (chance) to 1.  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  "original-view" (d-sd): query = original, positive = its view 1, negatives = all other originals;
                  "view-view" (sd-sd): query = view 1, positive = view 2, negatives = all other view 1. The row
                  itself is excluded by index. A tie with the positive counts as a miss; extra["ties"] says how many
                  queries missed only for that. Ranks are exact: scores within rounding of the positive's are redone
                  in float64. shi2022's code leaves the query among its candidates and reads top-(k + 1): the same
                  number unless a row has an exact duplicate, which takes the place granted to the query itself.
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
    anchors, positives = positive_pairs(features, views, pair)
    if len(anchors) <= k:
        return undefined(f"top-{k} of {len(anchors)} candidates cannot fail", n=len(anchors))
    ranks = over_pairs(unit_rows(anchors), _wish(positives, k))
    hits = (ranks.ahead < k).double()
    ties = int(((ranks.ahead >= k) & (ranks.strictly_ahead < k)).sum())
    return MetricValue(value=float(hits.mean()), n=len(anchors), per_row=hits, extra={"ties": ties})
