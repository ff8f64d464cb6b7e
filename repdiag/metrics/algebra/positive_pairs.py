"""Positive pairs: which row of which view belongs to which."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.algebra.moments import unit_blocks
from repdiag.metrics.registry import Sizes

Pair = Literal["original-view", "view-view"]
Average = Literal["views"]
PAIRS: tuple[Pair, ...] = ("original-view", "view-view")


def positive_pairs(features: Tensor, views: Tensor, pair: Pair) -> tuple[Tensor, Tensor]:
    """Return (anchors, their positives), each [N, D]: the original and view 1, or view 1 and view 2."""
    if pair == "original-view":
        return features, views[0]
    if pair != "view-view":
        raise MetricError(f"pair must be one of {', '.join(PAIRS)}", found=repr(pair))
    if len(views) < 2:
        raise MetricError("the pair view-view needs two views of each row", found=f"{len(views)}")
    return views[0], views[1]


def all_positive_pairs(
    features: Tensor, views: Tensor, pair: Pair, *, average: Average | None = None
) -> list[tuple[Tensor, Tensor]]:
    """Return every (anchors, positives) that a reading takes: one, or with `average` those of all views.

    The original with each view; or the views two by two, none of them twice: 1 and 2, 3 and 4.
    """
    first = positive_pairs(features, views, pair)
    if average is None:
        return [first]
    if pair == "original-view":
        return [(features, view) for view in views]
    return [(views[place], views[place + 1]) for place in range(0, len(views) - 1, 2)]


def pair_variants(**settings: Any) -> tuple[dict[str, Any], ...]:
    """Return one variant for each reading of the positive pair."""
    return tuple({"pair": pair, **settings} for pair in PAIRS)


def averaged_pair_variants(sizes: Sizes) -> tuple[dict[str, Any], ...]:
    """Return both readings of the positive pair at top-1, over all views where there are more than two."""
    return tuple({"pair": pair, "k": 1, **_averaged(sizes)} for pair in PAIRS)


def ranked_pair_variants(sizes: Sizes) -> tuple[dict[str, Any], ...]:
    """Return both readings of the positive pair at top-1 to top-5, over all views where there are more than two."""
    return tuple({"pair": pair, "k": k, **_averaged(sizes)} for pair in PAIRS for k in range(1, 6))


def _averaged(sizes: Sizes) -> dict[str, Any]:
    return {"average": "views"} if sizes.views > 2 else {}


def squared_distances(left: Tensor, right: Tensor) -> Tensor:
    """Return the float64 squared distances [N] between unit rows taken in pairs."""
    result = torch.empty(len(left), dtype=torch.float64, device=left.device)
    for (place, rows), (_, others) in zip(unit_blocks(left), unit_blocks(right), strict=True):
        result[place] = (rows - others).square().sum(dim=1)
    return result
