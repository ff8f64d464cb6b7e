"""`pretext_gap`: is the pretext task easier on the images it was trained on?"""

from __future__ import annotations

from typing import Any

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels, Tensor, Views
from repdiag.metrics.algebra.positive_pairs import Average, Pair, averaged_pair_variants
from repdiag.metrics.pairwise import PairRequest
from repdiag.metrics.pretext.instance_discrimination_accuracy import (
    gallery_requests,
    instance_discrimination_accuracy,
)
from repdiag.metrics.registry import Part, Sides, metric
from repdiag.metrics.settings import Count


def _requests(
    features: Tensor, views: Tensor, *, other_features: Tensor, other_views: Tensor, **given: Any
) -> list[PairRequest]:
    settings = {name: given[name] for name in ("pair", "k", "average") if name in given}
    sizes = _galleries(features, other_features)
    return gallery_requests(features, views, gallery=sizes[0], **settings) + gallery_requests(
        other_features, other_views, gallery=sizes[1], **settings
    )


def _galleries(features: Tensor, other_features: Tensor) -> tuple[int | None, int | None]:
    """Return the size of the galleries to take on either side: that of the smaller set, None for a set as it is."""
    size = min(len(features), len(other_features))
    return tuple(None if len(side) == size else size for side in (features, other_features))  # type: ignore[return-value]


def _sides(features: Tensor, views: Tensor, *, other_features: Tensor, other_views: Tensor, **given: Any) -> Sides:
    settings: dict[str, Any] = {name: given[name] for name in ("pair", "k", "average") if name in given}
    sizes = _galleries(features, other_features)
    held_out: dict[str, Any] = {"features": features, "views": views, "gallery": sizes[0]}
    seen: dict[str, Any] = {"features": other_features, "views": other_views, "gallery": sizes[1]}
    parts = [
        [Part(metric="instance_discrimination_accuracy", arguments={**side, **settings})] for side in (seen, held_out)
    ]
    return parts[0], parts[1]


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=3,
    reference="shi2022",
    interval="two_sets",
    second="bank",
    variants=averaged_pair_variants,
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
    average: Average | None = None,
) -> MetricValue:
    """Pretext gap: instance discrimination accuracy on the bank (train images) minus on the rows (val images).

    Formula:      instance_discrimination_accuracy(bank) - instance_discrimination_accuracy(rows), both in galleries of
                  min(N, M) rows
    Shapes:       features [N, D], views [V, N, D], other_features [M, D], other_views [W, M, D] -> scalar.
    Range:        -1 to 1.  Better: near 0.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as instance_discrimination_accuracy, with the same pair, k and average on both sides. Accuracy falls
                  with the size of the gallery: for the larger set the mean over all galleries of the smaller set's size
                  counts (version 2: no value). A bank four times as large makes the interval a fifth narrower; all
                  views of an image (average="views") make it up to a third narrower. Labels matter only for the
                  interval: images are drawn within their classes (version 1: without them).
    Read it as:   overfitting to the pretext task: above 0, the encoder has memorised its train images.
    Limits:       both sets should hold the classes in equal shares; the caller has to see to that.
    Cost:         two passes of instance_discrimination_accuracy; more with average="views".
    Reference:    Shi et al. 2022, section 3. Closed form: tests/closed_form/test_pretext.py.
    Example:      >>> import torch
                  >>> rows = torch.eye(3)
                  >>> float(pretext_gap(rows, rows[None], other_features=rows, other_views=rows[None]))
                  0.0
    """
    sizes = _galleries(features, other_features)
    held_out = instance_discrimination_accuracy(features, views, pair=pair, k=k, average=average, gallery=sizes[0])
    seen = instance_discrimination_accuracy(
        other_features, other_views, pair=pair, k=k, average=average, gallery=sizes[1]
    )
    if held_out.value is None or seen.value is None:
        return undefined(held_out.reason or seen.reason or "", n=len(features))
    return MetricValue(
        value=seen.value - held_out.value,
        n=len(features),
        extra={"accuracy": held_out.value, "bank_accuracy": seen.value},
    )
