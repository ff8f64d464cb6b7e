"""`pretext_gap`: is the pretext task easier on the images it was trained on?"""

from __future__ import annotations

from typing import Any

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels, Tensor, Views
from repdiag.metrics.algebra.positive_pairs import Pair, pair_variants
from repdiag.metrics.pairwise import PairRequest
from repdiag.metrics.pretext.instance_discrimination_accuracy import (
    gallery_requests,
    instance_discrimination_accuracy,
)
from repdiag.metrics.registry import Side, metric
from repdiag.metrics.settings import Count


def _requests(
    features: Tensor, views: Tensor, *, other_features: Tensor, other_views: Tensor, pair: Pair, k: int, **_: Any
) -> list[PairRequest]:
    return gallery_requests(features, views, pair=pair, k=k) + gallery_requests(
        other_features, other_views, pair=pair, k=k
    )


def _sides(
    features: Tensor, views: Tensor, *, other_features: Tensor, other_views: Tensor, **given: Any
) -> tuple[Side, Side]:
    settings = {name: given[name] for name in ("pair", "k") if name in given}
    sides = ({"features": other_features, "views": other_views}, {"features": features, "views": views})
    return tuple(("instance_discrimination_accuracy", {**side, **settings}) for side in sides)  # type: ignore[return-value]


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
    reference="shi2022",
    interval="two_sets",
    second="bank",
    variants=pair_variants(k=1),
    reductions=_requests,
    sides=_sides,
)
def pretext_gap(
    features: Features,
    views: Views,
    *,
    other_features: Float[Tensor, "M D"],
    other_views: Float[Tensor, "W M D"],
    labels: Labels | None = None,  # noqa: ARG001 - strata of the interval, which `_sides` and its maker read
    other_labels: Integer[Tensor, "M"] | None = None,  # noqa: ARG001 - the same
    pair: Pair = "original-view",
    k: Count = 1,
) -> MetricValue:
    """Pretext gap: instance discrimination accuracy on the bank (train images) minus on the rows (val images).

    Formula:      instance_discrimination_accuracy(bank) - instance_discrimination_accuracy(rows)
    Shapes:       features [N, D], views [V, N, D], other_features [N, D], other_views [V, N, D] -> scalar.
    Range:        -1 to 1.  Better: near 0.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as instance_discrimination_accuracy, the same pair and k on both sides. The galleries must have
                  equal size: accuracy falls with gallery size, and a gap between unlike sizes means nothing. The
                  labels only serve the interval: images are drawn within their classes (version 1: without them).
    Read it as:   overfitting to the pretext task: above 0, the encoder knows its train images by heart.
    Limits:       class counts of the two galleries should be equal as well; that is the caller's to see to.
    Cost:         two passes of instance_discrimination_accuracy.
    Reference:    Shi et al. 2022, section 3. Closed form: tests/closed_form/test_pretext.py.
    Example:      >>> import torch
                  >>> rows = torch.eye(3)
                  >>> float(pretext_gap(rows, rows[None], other_features=rows, other_views=rows[None]))
                  0.0
    """
    if len(features) != len(other_features):
        sizes = f"{len(features)} rows, {len(other_features)} in the bank"
        return undefined(f"galleries differ in size ({sizes})", n=len(features))
    held_out = instance_discrimination_accuracy(features, views, pair=pair, k=k)
    seen = instance_discrimination_accuracy(other_features, other_views, pair=pair, k=k)
    if held_out.value is None or seen.value is None:
        return undefined(held_out.reason or seen.reason or "", n=len(features))
    return MetricValue(
        value=seen.value - held_out.value,
        n=len(features),
        extra={"accuracy": held_out.value, "bank_accuracy": seen.value},
    )
