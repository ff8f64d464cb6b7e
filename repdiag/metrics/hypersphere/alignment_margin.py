"""`alignment_margin`: how much more alike positives are than random rows."""

from __future__ import annotations

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Views
from repdiag.metrics.algebra.positive_pairs import Pair, pair_variants, positive_pairs, squared_distances
from repdiag.metrics.hypersphere.mean_cosine import partner_means
from repdiag.metrics.registry import metric


@metric(
    direction="higher",
    bounds=(-2.0, 2.0),
    invariances={"rotation", "scale", "row_order"},
    version=3,
    reference="wang2020",
    interval="per_query",
    variants=pair_variants(),
)
def alignment_margin(features: Features, views: Views, *, pair: Pair = "original-view") -> MetricValue:
    """Alignment margin: mean cosine of positive pairs minus mean cosine of random pairs.

    Formula:      mean_i cos(z_i, z_i^+) - mean_{i<j} cos(z_i, z_j)
    Shapes:       features [N, D], views [V, N, D] -> scalar.
    Range:        about 0 (a view is no more like its original than anything else) to 1 + 1 / (N - 1).
                  Better: higher.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  random pairs are all pairs of anchors (originals, or view 1 for "view-view"), self-pairs excluded.
                  per_row holds the difference for each row. The error is that of cos(z_i, z_i^+) - 2 g_i, with g_i the
                  mean cosine of row i with all others, because a row counts both as an anchor and as a partner (version
                  1 ignored the second, so that its intervals were too narrow; its values are the same). If the rows
                  come in C classes, both roles are weighted by C / (C - 1).
    Read it as:   alignment that a cone-shaped or collapsed space cannot fake: there both cosines are near 1.
    Limits:       a mean: it does not show the nearest competitor, as instance_discrimination_accuracy does.
    Cost:         O(N D) time, O(N) memory.
    Reference:    the two terms of Wang & Isola 2020, on one scale. Closed form: tests/closed_form/test_hypersphere.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
                  >>> float(alignment_margin(rows, rows[None]))
                  1.0
    """
    if len(features) < 2:
        return undefined("needs two rows", n=len(features))
    anchors, positives = positive_pairs(features, views, pair)
    random = partner_means(anchors)
    parts = 1.0 - squared_distances(anchors, positives) / 2.0 - random
    influence = parts - (random - random.mean())
    return MetricValue(value=float(parts.mean()), n=len(features), per_row=parts, influence=influence)
