"""What a classifier's logits are worth by the measure that a data set asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.downstream.outcome import Score, classification_scores
from repdiag.downstream.protocol import Settings

# The sets whose papers report the mean over classes, after Kornblith et al. 2019.
MEAN_PER_CLASS = frozenset({"aircraft", "caltech101", "flowers102", "pets"})
ELEVEN_POINTS = frozenset({"voc2007"})
_DRAWS = 200


def measure_of(settings: Settings, *, dataset: str) -> str:
    """Return what is reported first for a data set."""
    if settings.measure != "auto":
        return settings.measure
    return "mean_per_class" if dataset in MEAN_PER_CLASS else "map_11_point" if dataset in ELEVEN_POINTS else "top1"


def measured(logits: Tensor, asked: Tensor, settings: Settings, *, dataset: str) -> dict[str, Any]:
    """Return the scores and the parts by image of logits [N, C] for labels [N]; -1 is a class that train lacks."""
    first = measure_of(settings, dataset=dataset)
    if first == "map_11_point":
        has = torch.nn.functional.one_hot(asked.clamp_min(0), logits.shape[1]).bool() & (asked >= 0)[:, None]
        return {"scores": (average_precision_score(logits, has, seed=settings.seed),), "per_image": None}
    hits = (logits.argmax(dim=1) == asked).double().cpu()
    return {"scores": classification_scores(hits, asked.cpu(), first=first), "per_image": hits}


def average_precision_score(scores: Tensor, has: Tensor, *, seed: int) -> Score:
    """Return the mean over classes of VOC 2007's average precision, with a bootstrap interval over test images."""
    given, truth = scores.cpu().numpy(), has.cpu().numpy()
    value = _mean_precision(given, truth)
    if value is None:
        raise DataError("no class has both images that show it and images that do not")
    draws = np.random.default_rng(seed)
    again = [
        found
        for rows in (draws.integers(len(given), size=len(given)) for _ in range(_DRAWS))
        if (found := _mean_precision(given[rows], truth[rows])) is not None
    ]
    low, high = np.quantile(again, [0.025, 0.975]).tolist()
    method = f"bootstrap over test images, {_DRAWS} draws, the classifiers fixed"
    return Score(measure="map_11_point", value=value, low=low, high=high, method=method, n=len(given))


def eleven_point_precision(scores: Sequence[float] | Any, relevant: Sequence[bool] | Any) -> float:
    """Return VOC 2007's average precision: the mean of the best precision at a recall of at least 0, .1, ... 1.

    Example:
        >>> round(eleven_point_precision([0.9, 0.8, 0.7], [True, False, True]), 4)
        0.8485
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    right = np.asarray(relevant, dtype=np.float64)[order].cumsum()
    precision, recall = right / np.arange(1, len(right) + 1), right / right[-1]
    ahead = np.maximum.accumulate(precision[::-1])[::-1]
    # A recall of .3 is reached by the third of ten relevant images, whatever .3 is in binary.
    places = np.searchsorted(recall, np.arange(11) / 10.0 - 1e-12)
    return float(ahead[places].mean())


def _mean_precision(scores: Any, has: Any) -> float | None:
    shown = [label for label in range(has.shape[1]) if 0 < has[:, label].sum() < len(has)]
    if not shown:
        return None
    return float(np.mean([eleven_point_precision(scores[:, label], has[:, label]) for label in shown]))
