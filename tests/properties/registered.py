"""Data and settings on which every registered metric has a value, and the ways to transform them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.metric_value import MetricValue
from repdiag.metrics.registry import Metric, load_all

ROWS, BANK, DIMS, OTHER_DIMS, CLASSES = 64, 80, 12, 9, 4
METRICS = load_all()
EQUAL_GALLERIES = {"pretext_gap", "label_gap", "probe_gap"}  # differences between two sets of one make
ONE_WIDTH = {"cross_gallery", "row_cosine"}  # of two encoders whose vectors have a common space
Data = dict[str, Tensor]

# Defaults are made for thousands of rows; on these few, smaller settings tell more.
SETTINGS: dict[str, dict[str, Any]] = {
    "alpha_req": {"first": 2, "last": 10},
    "contrast_accuracy": {"queue_size": 12},
    "info_nce": {"queue_size": 12},
    "islands": {"least_rows": 8, "alpha": 0.003},
    "minibatch_cka": {"batch_size": 16},
    "uniformity_subsampled": {"size": 12, "subsets": 3},
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed), dtype=torch.float64)


def sample(seed: int = 0) -> Data:
    """Return noisy classes of unequal size with two sub-clusters each, noisy views, a bank and a second encoder."""
    centres = draw(seed, 2 * CLASSES, DIMS) + 0.5
    place = torch.randint(2 * CLASSES, (ROWS,), generator=generator(seed + 1))
    bank_place = torch.randint(2 * CLASSES, (BANK,), generator=generator(seed + 2))
    features = centres[place] + 0.7 * draw(seed + 3, ROWS, DIMS)
    return {
        "features": features,
        "labels": place // 2,
        "label_matrix": several(place),
        "views": features + 0.9 * draw(seed + 4, 2, ROWS, DIMS),
        "bank_features": centres[bank_place] + 0.7 * draw(seed + 5, BANK, DIMS),
        "bank_labels": bank_place // 2,
        "bank_label_matrix": several(bank_place),
        "same_size_bank": features + draw(seed + 6, ROWS, DIMS),
        "same_size_bank_views": features + 1.2 * draw(seed + 7, 2, ROWS, DIMS),
        "other_features": features @ draw(seed + 8, DIMS, OTHER_DIMS) + draw(seed + 9, ROWS, OTHER_DIMS),
    }


def several(place: Tensor) -> Tensor:
    """Return which of three labels each sub-cluster has: one, two or all."""
    return torch.stack([place % 2 == 0, place < 5, place > 2], dim=1).long()


def arguments(metric: Metric, data: Data) -> Data:
    """Pick what the metric takes, under the names it takes it by."""
    names = {"other_features": "other_features", "other_labels": "bank_labels", "other_views": "same_size_bank_views"}
    names["other_label_matrix"] = "bank_label_matrix"
    if metric.second == "bank":
        names["other_features"] = "bank_features"
    if metric.name in ONE_WIDTH:
        names |= {"other_features": "same_size_bank"}
    if metric.name in EQUAL_GALLERIES:
        names |= {"other_features": "same_size_bank", "other_labels": "labels"}
    return {name: data[names.get(name, name)] for name in metric.takes}


def call(metric: Metric, data: Data, **settings: Any) -> MetricValue:
    return metric.function(**arguments(metric, data), **{**SETTINGS.get(metric.name, {}), **settings})


def outcome(metric: Metric, data: Data) -> MetricValue | None:
    """Return the value, or None where the metric refuses with a `MetricError`."""
    try:
        return call(metric, data)
    except MetricError:
        return None


def each_tensor(data: Mapping[str, Tensor], change: Callable[[str, Tensor], Tensor]) -> Data:
    return {name: change(name, value) if value.is_floating_point() else value for name, value in data.items()}


def rotated(data: Data) -> Data:
    """Turn every encoder's space; the second encoder's by a rotation of its own."""
    turns = {dims: torch.linalg.qr(draw(20 + dims, dims, dims)).Q for dims in (DIMS, OTHER_DIMS)}
    return each_tensor(data, lambda _, value: value @ turns[value.shape[-1]])


def scaled(data: Data) -> Data:
    """Multiply every space by a factor; that of the second encoder by another."""
    return each_tensor(data, lambda name, value: value * (0.37 if name == "other_features" else 5.3))


def translated(data: Data) -> Data:
    """Add a vector to every row; to the second encoder's another."""
    return each_tensor(data, lambda _, value: value + 1.5 + draw(30 + value.shape[-1], value.shape[-1]).abs())


def reordered(data: Data) -> Data:
    """Put the rows into another order, and those of the bank into an order of their own."""
    orders = {rows: torch.randperm(rows, generator=generator(40 + rows)) for rows in (ROWS, BANK)}
    return {
        name: value[:, orders[ROWS]] if value.ndim == 3 else value[orders[len(value)]] for name, value in data.items()
    }


TRANSFORMATIONS = {"rotation": rotated, "scale": scaled, "translation": translated, "row_order": reordered}
