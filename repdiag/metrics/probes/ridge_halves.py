"""A small linear probe without a learning rate: ridge regression of the classes, fitted on halves of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from sklearn.linear_model import RidgeClassifierCV

PENALTIES = np.logspace(-2.0, 4.0, 7)
Hits = NDArray[np.bool_]
Matrix = NDArray[np.float64]


def as_first_seen(truth: NDArray[Any]) -> NDArray[np.int64]:
    """Return for each row where its class appears first: names of the classes for which their numbers do not count."""
    _, first, index = np.unique(truth, return_index=True, return_inverse=True)
    return np.asarray(first[index.reshape(-1)], dtype=np.int64)


def shuffled_by_class(classes: NDArray[Any], *, seed: int) -> NDArray[np.int64]:
    """Return the rows shuffled, class after class."""
    order = np.random.default_rng(seed).permutation(len(classes))
    return np.asarray(order[np.argsort(classes[order], kind="stable")], dtype=np.int64)


def same_share(classes: NDArray[Any], *, most: int, seed: int) -> NDArray[np.int64] | None:
    """Return at most so many rows, drawn with the same share of every class; None where there are no more."""
    if len(classes) <= most:
        return None
    order = shuffled_by_class(classes, seed=seed)
    return np.sort(order[np.linspace(0, len(order) - 1, most).round().astype(np.int64)])


def dealt_halves(truth: NDArray[Any], *, seed: int) -> NDArray[np.int64]:
    """Return the half (0 or 1) of every row, each class halved."""
    order = shuffled_by_class(as_first_seen(truth), seed=seed)
    side = np.empty(len(truth), dtype=np.int64)
    side[order] = np.arange(len(truth)) % 2
    return side


@dataclass(frozen=True, kw_only=True)
class RidgeHalves:
    """The probes of both halves of some rows, and which half each row is in.

    There are no probes where no dimension varies within a half: then the largest class is the answer to all.
    """

    side: NDArray[np.int64]
    probes: tuple[_Probe, ...]
    largest: int

    def unseen_hits(self, features: Tensor, labels: Tensor) -> Hits:
        """Say which of the fitted rows are classified rightly by the probe of the other half."""
        return self._hits(features, labels, 1 - self.side)

    def hits(self, features: Tensor, labels: Tensor, *, seed: int) -> Hits:
        """Say which of other rows are classified rightly, each by one of the probes."""
        return self._hits(features, labels, dealt_halves(labels.cpu().numpy(), seed=seed))

    def _hits(self, features: Tensor, labels: Tensor, reader: NDArray[np.int64]) -> Hits:
        truth = labels.cpu().numpy()
        if not self.probes:
            return np.asarray(truth == self.largest)
        rows, found = _numbers(features), np.zeros(len(truth), dtype=np.bool_)
        for half, probe in enumerate(self.probes):
            its = reader == half
            found[its] = probe.predict(rows[its]) == truth[its]
        return found


@dataclass(frozen=True, kw_only=True)
class _Probe:
    mean: Matrix
    spread: Matrix
    varies: Hits
    model: RidgeClassifierCV

    def predict(self, rows: Matrix) -> NDArray[Any]:
        return np.asarray(self.model.predict(_standardised(rows, self.mean, self.spread, self.varies)))


def fit_halves(features: Tensor, labels: Tensor, *, seed: int) -> RidgeHalves | None:
    """Fit ridge regression of the classes to each half of the rows; None for one class, or for a row alone in one.

    Dimensions are standardised by the half that is fitted; the penalty has the smallest leave-one-out error.
    """
    from sklearn.linear_model import RidgeClassifierCV

    rows, truth = _numbers(features), labels.cpu().numpy()
    names, counts = np.unique(truth, return_counts=True)
    if len(counts) < 2 or counts.min() < 2:
        return None
    side = dealt_halves(truth, seed=seed)
    probes: list[_Probe] = []
    for half in (0, 1):
        own = side == half
        mean, spread = rows[own].mean(axis=0), rows[own].std(axis=0)
        varies = spread > 1e-9 * max(float(spread.max()), 1e-300)
        if not varies.any():
            probes = []
            break
        model = RidgeClassifierCV(PENALTIES).fit(_standardised(rows[own], mean, spread, varies), truth[own])
        probes.append(_Probe(mean=mean, spread=spread, varies=varies, model=model))
    return RidgeHalves(side=side, probes=tuple(probes), largest=int(names[counts.argmax()]))


def _standardised(rows: Matrix, mean: Matrix, spread: Matrix, varies: Hits) -> Matrix:
    return np.asarray((rows[:, varies] - mean[varies]) / spread[varies])


def _numbers(features: Tensor) -> Matrix:
    return np.asarray(features.double().cpu().numpy())
