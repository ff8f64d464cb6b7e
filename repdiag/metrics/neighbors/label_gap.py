"""`label_gap`: do classes hold together better on the images that were trained on?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from repdiag.core.metric_value import MetricValue, undefined
from repdiag.core.shapes import Features, Float, Integer, Labels, Tensor
from repdiag.metrics.neighbors.dealt_galleries import class_counts, dealt_galleries, gallery_rows
from repdiag.metrics.neighbors.precision_at_1 import precision_at_1
from repdiag.metrics.neighbors.r_precision import r_precision
from repdiag.metrics.neighbors.ranked_lists import list_requests
from repdiag.metrics.pairwise import PairRequest
from repdiag.metrics.registry import Part, Sides, metric

Of = Literal["precision_at_1", "r_precision"]


def _requests(
    features: Tensor, labels: Tensor, *, other_features: Tensor, other_labels: Tensor, **_: Any
) -> list[PairRequest]:
    if class_counts(labels) != class_counts(other_labels):
        return []  # galleries are searched one by one
    return list_requests(features, labels) + list_requests(other_features, other_labels)


def _sides(
    features: Tensor,
    labels: Tensor,
    *,
    other_features: Tensor,
    other_labels: Tensor,
    of: Of = "precision_at_1",
    **_: Any,
) -> Sides:
    counts = _smaller(labels, other_labels) or {}
    return _parts(other_features, other_labels, counts, of), _parts(features, labels, counts, of)


def _parts(features: Tensor, labels: Tensor, counts: Mapping[int, int], of: Of) -> list[Part]:
    if class_counts(labels) == counts:
        return [Part(metric=of, arguments={"features": features, "labels": labels})]
    return [
        Part(
            metric=of,
            arguments={
                "features": gallery_rows("features", features, rows),
                "labels": gallery_rows("labels", labels, rows),
            },
            rows=rows,
        )
        for rows in dealt_galleries(features, labels, counts=counts)
    ]


def _smaller(labels: Tensor, other_labels: Tensor) -> dict[int, int] | None:
    """Return the counts of the set that has no more rows of any class than the other; None where neither is that."""
    counts = class_counts(labels), class_counts(other_labels)
    if counts[0].keys() != counts[1].keys():
        return None
    for mine, its in (counts, counts[::-1]):
        if all(mine[name] <= its[name] for name in mine):
            return mine
    return None


@metric(
    direction="context",
    bounds=(-1.0, 1.0),
    invariances={"rotation", "scale", "row_order"},
    version=2,
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
    Shapes:       features [N, D], labels [N], other_features [M, D], other_labels [M] -> scalar.
    Range:        -1 to 1.  Better: near 0.
    Invariant:    rotation, scale, row order.   Not invariant: translation.
    Conventions:  as precision_at_1 and r_precision, on unit rows. Retrieval rises with the size of a class and falls
                  with the size of the gallery, so both galleries must hold as many rows of each class. If one set has
                  at least as many rows of every class, it is dealt into as many galleries with the other set's counts
                  as it holds, at most 8, and their mean counts (version 1: no value); leftover rows do not count. If
                  neither set has at least as many of every class, there is no value. extra: the number of galleries.
                  The interval is that of two sets of images of the same classes, drawn independently; four galleries on
                  one side make it a fifth narrower.
    Read it as:   overfitting to the labels. An encoder that memorised 200 images has +.35. Healthy encoders trained
                  with labels have +.04 to +.08 after augmentation.
    Limits:       judges the images in the bank: take those that the encoder was trained on.
    Cost:         one search, as for r_precision, for each gallery.
    Reference:    the difference of a measure of Musgrave et al. 2020. Closed form: tests/closed_form/test_neighbors.py.
    Example:      >>> import torch
                  >>> rows = torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
                  >>> seen, held_out = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
                  >>> float(label_gap(rows, held_out, other_features=rows, other_labels=seen))
                  1.0
    """
    counts = _smaller(labels, other_labels)
    if counts is None:
        unequal = _unequal(labels, other_labels)
        return undefined(
            f"one of the sets must hold as many rows of each class as the other: {unequal}", n=len(features)
        )
    measure = {"precision_at_1": precision_at_1, "r_precision": r_precision}[of]
    sets = _parts(features, labels, counts, of), _parts(other_features, other_labels, counts, of)
    found = [[measure(**part.arguments) for part in side] for side in sets]
    lacking = next((each.reason for side in found for each in side if each.value is None), None)
    if lacking is not None:
        return undefined(lacking, n=len(features))
    held_out, seen = (sum(float(each) for each in side) / len(side) for side in found)
    return MetricValue(
        value=seen - held_out,
        n=sum(len(part.arguments["labels"]) for part in sets[0]),
        extra={"rows": held_out, "bank": seen, "galleries": len(sets[0]), "bank_galleries": len(sets[1])},
    )


def _unequal(labels: Tensor, other_labels: Tensor) -> str:
    """Say which classes the two sets hold unequally, the first few of them; nothing where there are none."""
    counts = [class_counts(each) for each in (labels, other_labels)]
    names = sorted(set(counts[0]) | set(counts[1]))
    differing = [name for name in names if counts[0].get(name, 0) != counts[1].get(name, 0)]
    said = ", ".join(f"class {name} {counts[0].get(name, 0)} and {counts[1].get(name, 0)}" for name in differing[:3])
    return f"{len(differing)} of {len(names)} differ ({said})" if differing else ""
