"""`label_gap`: do classes hold together better on the images that were trained on?"""

from __future__ import annotations

from typing import Any, Literal

import torch

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels, Tensor
from repdiag.metrics.neighbors.precision_at_1 import precision_at_1
from repdiag.metrics.neighbors.r_precision import r_precision
from repdiag.metrics.neighbors.ranked_lists import list_requests
from repdiag.metrics.pairwise import PairRequest
from repdiag.metrics.registry import Side, metric

Of = Literal["precision_at_1", "r_precision"]


def _requests(
    features: Tensor, labels: Tensor, *, other_features: Tensor, other_labels: Tensor, **_: Any
) -> list[PairRequest]:
    return list_requests(features, labels) + list_requests(other_features, other_labels)


def _sides(
    features: Tensor,
    labels: Tensor,
    *,
    other_features: Tensor,
    other_labels: Tensor,
    of: Of = "precision_at_1",
    **_: Any,
) -> tuple[Side, Side]:
    seen = {"features": other_features, "labels": other_labels}
    return (of, seen), (of, {"features": features, "labels": labels})


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=1,
    reference="musgrave2020",
    interval="two_sets",
    second="bank",
    variants=({"of": "precision_at_1"}, {"of": "r_precision"}),
    reductions=_requests,
    sides=_sides,
)
def label_gap(
    features: Features,
    labels: Labels,
    *,
    other_features: Float[Tensor, "M D"],
    other_labels: Integer[Tensor, "M"],
    of: Of = "precision_at_1",
) -> MetricValue:
    """Label gap: precision at 1 (or R-precision) on the bank, the train images, minus that on the rows.

    Formula:      precision_at_1(bank) - precision_at_1(rows), each set its own gallery; of="r_precision": of that
    Shapes:       features [N, D], labels [N], other_features [N, D], other_labels [N] -> scalar.
    Range:        -1 to 1.  Better: near 0.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1 and r_precision, on unit rows. Both sets must hold as many rows of each class:
                  retrieval rises with the class and falls with the gallery. The interval is that of two sets of images
                  of the same classes, drawn independently.
    Read it as:   overfitting to the labels. An encoder that memorised 200 images has +.35; healthy ones trained with
                  labels have +.04 to +.08 after augmentation.
    Limits:       speaks of the images in the bank: take those that were trained on.
    Cost:         two searches as of r_precision.
    Reference:    the difference of a measure of Musgrave et al. 2020. Closed form: tests/closed_form/test_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> seen, held_out = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
                  >>> float(label_gap(rows, held_out, other_features=rows, other_labels=seen))
                  1.0
    """
    unequal = _unequal(labels, other_labels)
    if unequal:
        return undefined(f"the sets must hold as many rows of each class: {unequal}", n=len(features))
    measure = {"precision_at_1": precision_at_1, "r_precision": r_precision}[of]
    seen, held_out = measure(other_features, other_labels), measure(features, labels)
    if seen.value is None or held_out.value is None:
        return undefined(seen.reason or held_out.reason or "", n=len(features))
    return MetricValue(
        value=seen.value - held_out.value,
        n=len(features),
        extra={"rows": held_out.value, "bank": seen.value},
    )


def _unequal(labels: Tensor, other_labels: Tensor) -> str:
    """Say which classes the two sets hold unequally, the first few of them; nothing where there are none."""
    counts = [
        dict(zip(*(part.tolist() for part in torch.unique(each, return_counts=True)), strict=True))
        for each in (labels, other_labels)
    ]
    names = sorted(set(counts[0]) | set(counts[1]))
    differing = [name for name in names if counts[0].get(name, 0) != counts[1].get(name, 0)]
    said = ", ".join(f"class {name} {counts[0].get(name, 0)} and {counts[1].get(name, 0)}" for name in differing[:3])
    return f"{len(differing)} of {len(names)} differ ({said})" if differing else ""
