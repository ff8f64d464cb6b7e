"""Equal galleries: retrieval accuracies compare only at equal size and equal class counts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from repdiag.core.embedding_set import EmbeddingSet

Index = NDArray[np.int64]
MOST_GALLERIES = 4  # of the larger set: the interval is a fifth narrower, and at most a tenth more with any number


def equal_galleries(first: EmbeddingSet, second: EmbeddingSet, *, seed: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return both sets cut to as many rows of each class as the smaller one has; drawn by seed, in their own order.

    Without labels in both, to as many rows. Sets that are equal already come back unchanged.
    """
    sides = (_classes(first, second), _classes(second, first))
    counts = {
        int(name): min(int((sides[0] == name).sum()), int((sides[1] == name).sum()))
        for name in np.union1d(sides[0], sides[1])
    }
    generator = np.random.default_rng(seed)
    return _cut(first, sides[0], counts, generator), _cut(second, sides[1], counts, generator)


def whole_galleries(first: EmbeddingSet, second: EmbeddingSet, *, seed: int) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return both sets cut to whole multiples of their smaller counts of each class, which keeps the classes' shares.

    Of sets of 50 and of 170 rows of each class those are 50 and 150, at most four times as many. Drawn by seed, in
    their own order.
    """
    sides = (_classes(first, second), _classes(second, first))
    names = np.union1d(sides[0], sides[1])
    sizes = [{int(name): int((side == name).sum()) for name in names} for side in sides]
    least = {name: min(sizes[0][name], sizes[1][name]) for name in sizes[0]}
    times = [min((mine[name] // least[name] for name in least if least[name]), default=1) for mine in sizes]
    generator = np.random.default_rng(seed)
    cut = [{name: min(factor, MOST_GALLERIES) * count for name, count in least.items()} for factor in times]
    return _cut(first, sides[0], cut[0], generator), _cut(second, sides[1], cut[1], generator)


def common_galleries(*sets: EmbeddingSet, seed: int) -> tuple[EmbeddingSet, ...]:
    """Return sets cut to the smallest number of rows of each class that any of them has; all or none have labels.

    Drawn by seed, in their own order: sets of the same rows in one order keep the same ones.
    """
    labels = [_classes(each, each) for each in sets]
    counts = {
        int(name): min(int((each == name).sum()) for each in labels) for name in np.unique(np.concatenate(labels))
    }
    return tuple(
        _cut(each, label, counts, np.random.default_rng(seed)) for each, label in zip(sets, labels, strict=True)
    )


def _classes(mine: EmbeddingSet, other: EmbeddingSet) -> Index:
    if mine.labels is None or other.labels is None:
        return np.zeros(len(mine), dtype=np.int64)
    return np.asarray(mine.labels.cpu().numpy(), dtype=np.int64)


def _cut(found: EmbeddingSet, labels: Index, counts: dict[int, int], generator: np.random.Generator) -> EmbeddingSet:
    if sum(counts.values()) == len(found):
        return found
    chosen = [generator.choice(np.flatnonzero(labels == name), count, replace=False) for name, count in counts.items()]
    return found.select(np.sort(np.concatenate(chosen)))
