"""A small linear probe without a learning rate: ridge regression of the classes, fitted on halves of the rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

PENALTIES = np.logspace(-2.0, 4.0, 7)
Hits = NDArray[np.bool_]


def dealt_halves(truth: NDArray[Any], *, seed: int) -> NDArray[np.int64]:
    """Return the half (0 or 1) of every row, each class halved."""
    order = _by_class(truth, seed=seed)
    side = np.empty(len(truth), dtype=np.int64)
    side[order] = np.arange(len(truth)) % 2
    return side


def dealt_parts(labels: Tensor, *, most: int, seed: int) -> Tensor | None:
    """Return at most so many rows, drawn with the same share of every class; None where there are no more."""
    if len(labels) <= most:
        return None
    order = _by_class(labels.cpu().numpy(), seed=seed)
    chosen = np.sort(order[np.linspace(0, len(order) - 1, most).round().astype(np.int64)])
    return torch.from_numpy(chosen).to(labels.device)


def ridge_hits(fitted: tuple[Tensor, Tensor], read: tuple[Tensor, Tensor] | None = None, *, seed: int) -> Hits | None:
    """Return which rows are classified rightly by a probe that did not see them; None where there is nothing to fit.

    Each of `fitted` and `read` is features [N, D] and labels [N]. Ridge regression is fitted on each half of `fitted`
    in turn, its dimensions standardised by that half, its penalty chosen by leave-one-out error. It reads the other
    half; or half of `read`, so that both probes have a part of it. Where no dimension varies, it is right on the
    largest class.
    """
    from sklearn.linear_model import RidgeClassifierCV

    rows, truth = _numbers(*fitted)
    counts = np.unique(truth, return_counts=True)[1]
    if len(counts) < 2 or counts.min() < 2:
        return None
    side = dealt_halves(truth, seed=seed)
    asked, answers = (rows, truth) if read is None else _numbers(*read)
    other = 1 - side if read is None else dealt_halves(answers, seed=seed)
    hits = np.zeros(len(answers), dtype=np.bool_)
    for half in (0, 1):
        own, its = side == half, other == half
        mean, spread = rows[own].mean(axis=0), rows[own].std(axis=0)
        varies = spread > 1e-9 * max(float(spread.max()), 1e-300)
        if not varies.any():
            names, shares = np.unique(truth, return_counts=True)
            return np.asarray(answers == names[shares.argmax()])
        x, z = ((part[:, varies] - mean[varies]) / spread[varies] for part in (rows[own], asked[its]))
        hits[its] = RidgeClassifierCV(PENALTIES).fit(x, truth[own]).predict(z) == answers[its]
    return hits


def _by_class(truth: NDArray[Any], *, seed: int) -> NDArray[np.int64]:
    """Return the rows shuffled, class after class as they first appear: the numbers of classes do not count."""
    _, first, index = np.unique(truth, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(truth))
    return np.asarray(order[np.argsort(first[index.reshape(-1)][order], kind="stable")], dtype=np.int64)


def _numbers(features: Tensor, labels: Tensor) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return features.double().cpu().numpy(), labels.cpu().numpy()
