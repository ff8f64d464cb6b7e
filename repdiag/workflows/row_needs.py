"""How many images decide each question: from a pilot, with 80 % power at the threshold of the question."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repdiag.diagnosis.thresholds import DEFAULT_THRESHOLDS, Thresholds

if TYPE_CHECKING:
    import torch

    from repdiag.core.embedding_set import EmbeddingSet

POWER = 1.96 + 0.84
"""Standard errors between a value and a threshold at which a 95 % interval excludes it in 80 % of draws."""

ISLAND_ROWS = 300
"""Images of a class at which held-out bisection finds two joined kindred classes in 80 % of draws."""

HALF_WIDTHS = "half-widths of"
"""How the need of a wanted precision is called."""

_LEAST_ROOM = 0.02  # a value that lies on its threshold is decided by no number of rows
_WORST = 0.25  # the variance of a hit at an accuracy of a half


def rows_needed(spread: float, room: float) -> int:
    """Return how many rows of each side bring the error of a difference of two means to `room` / 2.8.

    `spread` is the sum of both sides' variances of a row.

    Example:
        >>> rows_needed(2 * 0.1 * 0.9, 0.02)  # a pretext gap of 0 at an accuracy of 10 %
        3528
    """
    return math.ceil(spread * (POWER / room) ** 2)


def pilot_needs(
    val: EmbeddingSet,
    train: EmbeddingSet | None,
    precision: float | None = None,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> dict[str, int]:
    """Return the rows of each part that every question needs, by its name, as the pilot's rows spread.

    The gap of the pretext task is to be told from its threshold where it is 0; that of the labels where it is as the
    pilot has it. Over-clustering needs `ISLAND_ROWS` of every class. Where a `precision` is asked for, the rows are
    those that bring the 95 % intervals of val's accuracies to this half-width.
    """
    if precision is not None:
        spread = max(_spreads(val), default=0.0)
        return {f"{HALF_WIDTHS} {precision:g}": math.ceil(spread * (1.96 / precision) ** 2)} if spread > 0.0 else {}
    needs: dict[str, int] = {}
    if train is not None and val.views is not None and train.views is not None:
        needs["pretext gap"] = _pretext(val, train, room=thresholds.overfitting_gap)
    if val.labels is not None:
        if train is not None and train.labels is not None:
            needs["label gap"] = _labels(val, train, thresholds)
        classes = len(set(val.labels.tolist()))
        needs["over-clustering"] = ISLAND_ROWS * classes
    return {name: rows for name, rows in needs.items() if rows > 0}


def _spreads(val: EmbeddingSet) -> list[float]:
    """Return the variances of a row's part in the accuracies that are means over rows."""
    from repdiag.metrics.neighbors import precision_at_1
    from repdiag.metrics.pretext import instance_discrimination_accuracy

    found = []
    if val.labels is not None:
        found.append(precision_at_1(val.features, val.labels))
    if val.views is not None and len(val.views):
        found.append(instance_discrimination_accuracy(val.features, val.views))
    return [_within(value.per_row, val.labels) for value in found if value.per_row is not None]


def _pretext(val: EmbeddingSet, train: EmbeddingSet, *, room: float) -> int:
    from repdiag.metrics.pretext import instance_discrimination_accuracy as accuracy

    spread = 0.0
    for side in (val, train):
        assert side.views is not None
        average: Any = "views" if len(side.views) > 2 else None
        found = accuracy(side.features, side.views, average=average)
        if found.value is None or found.per_row is None:
            return 0
        variance = _within(found.per_row, side.labels)
        # Accuracy falls as the gallery grows: from above a half the variance rises on the way.
        spread += variance if found.value <= 0.5 else variance * _WORST / max(found.value * (1.0 - found.value), 0.01)
    return rows_needed(spread, room)


def _labels(val: EmbeddingSet, train: EmbeddingSet, thresholds: Thresholds) -> int:
    from repdiag.metrics.neighbors import precision_at_1

    sides = [(side.features, side.labels) for side in (train, val) if side.labels is not None]
    found = [(precision_at_1(features, labels), labels) for features, labels in sides]
    if any(value.value is None or value.per_row is None for value, _ in found):
        return 0
    gap = float(found[0][0]) - float(found[1][0])
    spread = sum(_within(value.per_row, labels) for value, labels in found if value.per_row is not None)
    return rows_needed(spread, max(abs(thresholds.label_gap - gap), _LEAST_ROOM))


def _within(parts: torch.Tensor, labels: torch.Tensor | None) -> float:
    """Return the variance of the parts within their classes, which are fixed."""
    import torch

    if labels is None or len(labels) != len(parts):
        return float(parts.double().var())
    _, index, counts = torch.unique(labels, return_inverse=True, return_counts=True)
    sums = torch.zeros(len(counts), dtype=torch.float64).index_add_(0, index.cpu(), parts.double().cpu())
    rest = parts.double().cpu() - (sums / counts.cpu())[index.cpu()]
    return float(rest.square().sum() / max(1, len(parts) - len(counts)))


def shown_needs(needs: Mapping[str, int]) -> str:
    """Return the needs in words, the largest first."""
    ordered = sorted(needs.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {rows:,}" for name, rows in ordered)
