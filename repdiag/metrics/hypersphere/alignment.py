"""`alignment`: how near the two halves of a positive pair are."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue
from repdiag.core.shapes import Features, Views
from repdiag.metrics.algebra.positive_pairs import Pair, pair_variants, positive_pairs, squared_distances
from repdiag.metrics.registry import metric
from repdiag.metrics.settings import Positive


@metric(
    direction="lower",
    bounds=(0.0, float("inf")),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="wang2020",
    interval="per_query",
    variants=pair_variants(),
    comparable="one method",
)
def alignment(features: Features, views: Views, *, pair: Pair = "original-view", alpha: Positive = 2.0) -> MetricValue:
    """Alignment: the mean distance between the two halves of a positive pair, to a power.

    Formula:      mean_i ||z_i - z_i^+||^alpha,  z = row / ||row||; 2 - 2 mean_i cos(z_i, z_i^+) at alpha = 2
    Shapes:       features [N, D], views [V, N, D] -> scalar.
    Range:        0 (views coincide) to 2^alpha (opposite); about 2 at alpha = 2 for unrelated rows.  Better: lower.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  "original-view" pairs the original with view 1, "view-view" pairs view 1 with view 2. Rows are
                  normalised here. Float64. shi2022 calls these two d-sd and sd-sd; its value is that of alpha = 2.
    Read it as:   the invariance that the pretext task asks for.
    Limits:       perfect when everything collapses to a point or into a cone: read it beside alignment_margin and
                  uniformity. It depends on the strength of the augmentations.
    Cost:         O(N D) time, O(N) memory.
    Reference:    Wang & Isola 2020, section 4. Official code: SsnL/align_uniform, align_uniform/__init__.py;
                  WOWNICE/ssl-small, eval/stats-dist.py. Golden: tests/golden/test_golden_pairs.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
                  >>> float(alignment(rows, torch.tensor([[[1.0, 0.0], [3.0, 0.0]]])))
                  1.0
    """
    distances = squared_distances(*positive_pairs(features, views, pair))
    parts = distances if alpha == 2.0 else distances ** (alpha / 2.0)
    return MetricValue(value=float(parts.mean()), n=len(features), per_row=parts)
