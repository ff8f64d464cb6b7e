"""Whether the pieces that k-means cuts a class into are separated by valleys of its density.

k-means cuts whatever it is given: a heavy tail, a ring and a bent sheet as well as islands. What tells islands is that
hardly any row lies at their borders. The rows that were cut say nothing about that, since in many dimensions any piece
fits its own rows; so the centres come from one part of the rows, and the others are looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repdiag.metrics.clusters.class_centres import centres
from repdiag.metrics.clusters.spread_starts import RowArray

Counts = NDArray[np.float64]

FOLDS = 10  # centres from nine tenths of the rows are nearly as good as from all
EVEN = 1.0 / 6.0  # share of the rows in the first third of the way to their median, where they lie evenly on it
_ONE_SIDED = 1.645  # 95 % of a normal distribution lie below


@dataclass(frozen=True, kw_only=True)
class Valleys:
    """How deep the valleys between pieces are, for each number of pieces [K].

    `depth` is 1 where no row lies close to a border and 0 where rows lie there as evenly as elsewhere; it is negative
    where they lie denser, as on the thinner side of any cut through one mode. `sure` says whether the rows are enough
    to tell it from 0.
    """

    depth: Counts
    sure: NDArray[np.bool_]


def border_counts(rows: RowArray, number: int, *, seed: int, generator: np.random.Generator) -> Counts:
    """Return the held-out rows of one class on the thinner and the denser side of their borders, and those close to it.

    The counts [4] are rows, rows, close, close. A row's place is its distance from the nearest border of its piece, as
    a share of the half distance of the two centres; close is less than a third of the median place of its side. The
    thinner side of a border is the one where fewer rows lay of those that the centres were fitted to.
    """
    fold = generator.permutation(len(rows)) % FOLDS
    places, thin = [], []
    for out in range(FOLDS):
        fitted, held = rows[fold != out], rows[fold == out]
        middle = centres(fitted, number, seed=seed)
        before, found = _at_border(fitted, middle), _at_border(held, middle)
        sizes = np.zeros((len(middle), len(middle)), dtype=np.int64)
        np.add.at(sizes, (before.piece, before.behind), 1)
        places.append(found.place)
        thin.append(sizes[found.piece, found.behind] <= sizes[found.behind, found.piece])
    place, thinner = np.concatenate(places), np.concatenate(thin)
    sides = (place[thinner], place[~thinner])
    close = [np.count_nonzero(side < np.median(side) / 3.0) if len(side) else 0 for side in sides]
    return np.array([*map(len, sides), *close], dtype=np.float64)


def valleys(counts: Counts, weights: Counts) -> Valleys:
    """Return the valleys from the counts [C, K, 4] of classes with weights [C, K]: the shallower of the two sides."""
    rows = np.einsum("ck,cks->ks", weights, counts[..., :2])
    seen = rows > 0.0
    total = np.where(seen, rows, 1.0)
    share = np.where(seen, np.einsum("ck,cks->ks", weights, counts[..., 2:]) / total, 0.0)
    free = np.einsum("ck,cks->ks", weights**2, counts[..., :2])
    free = total**2 / np.where(seen, free, 1.0)  # as many rows of equal weight say as much
    z2 = _ONE_SIDED**2  # Wilson's upper bound
    half = _ONE_SIDED * np.sqrt(share * (1.0 - share) / free + z2 / (4.0 * free**2))
    highest = np.where(seen, (share + z2 / (2.0 * free) + half) / (1.0 + z2 / free), 0.0)
    some = seen.any(axis=1)
    depth = np.where(some, 1.0 - share.max(axis=1) / EVEN, 0.0)
    return Valleys(depth=depth, sure=some & (highest.max(axis=1) < EVEN))


@dataclass(frozen=True, kw_only=True)
class _AtBorder:
    """The piece of each row, the piece behind its nearest border, and its place between that border and its centre."""

    piece: NDArray[np.int64]
    behind: NDArray[np.int64]
    place: Counts


def _at_border(rows: RowArray, middle: RowArray) -> _AtBorder:
    every = np.arange(len(rows))
    squared, apart = _squared(rows, middle), _squared(middle, middle)
    piece = squared.argmin(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        place = (squared - squared[every, piece][:, None]) / apart[piece]
    place[np.isnan(place)] = 0.0  # two centres at one point: every row is at their border
    place[every, piece] = np.inf
    behind = place.argmin(axis=1)
    return _AtBorder(piece=piece, behind=behind, place=place[every, behind])


def _squared(rows: RowArray, middle: RowArray) -> Counts:
    """Return the squared distances [rows, centres], from differences: products lose the digits of near rows."""
    found: Counts = np.square(rows[:, None, :].astype(np.float64) - middle[None]).sum(axis=2)
    return found
