"""Several starts of k-means at once: each ends where it would alone, and the lowest is kept."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from repdiag.metrics.clusters import lloyd
from repdiag.metrics.clusters.lloyd import best_of
from repdiag.metrics.clusters.spread_starts import spread_starts

Rows = NDArray[np.float32]


def drawn(rows: int, dims: int, *, seed: int) -> Rows:
    return np.random.default_rng(seed).standard_normal((rows, dims), dtype=np.float32)


def objective(rows: Rows, found: NDArray[np.int64]) -> float:
    return sum(
        float(np.square(part - part.mean(axis=0)).sum()) for part in (rows[found == k] for k in np.unique(found))
    )


@pytest.mark.parametrize("iterations", [1, 4, 25])
def test_the_best_of_several_starts_is_the_best_that_scikit_learn_finds_from_them(iterations: int) -> None:
    """Its `max_iter` counts the assignments; ours is followed by one more, like that of its result."""
    rows = drawn(500, 6, seed=1)
    starts = rows[np.random.default_rng(2).integers(len(rows), size=(4, 8))]
    alone = [
        KMeans(8, init=start, n_init=1, tol=0.0, max_iter=iterations, algorithm="lloyd").fit(rows) for start in starts
    ]
    best = min(alone, key=lambda model: float(model.inertia_))
    assert np.mean(best_of(rows, starts, iterations=iterations) == best.labels_) == 1.0


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = drawn(1000, 5, seed=3)
    starts = spread_starts(rows, 12, np.random.default_rng(0), starts=3)
    whole = best_of(rows, starts, iterations=25)
    monkeypatch.setattr(lloyd, "_BLOCK", 1)
    assert np.array_equal(best_of(rows, starts, iterations=25), whole)


def test_a_start_is_the_same_whatever_starts_come_after_it() -> None:
    rows = drawn(300, 4, seed=4)
    alone, first, second = (spread_starts(rows, 9, np.random.default_rng(5), starts=count) for count in (1, 3, 3))
    assert np.array_equal(alone[0], first[0])
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_a_centre_without_rows_takes_half_of_the_largest_cluster() -> None:
    """Three of four centres start far off: all four end with rows."""
    rows = drawn(400, 2, seed=6)
    starts = np.full((1, 4, 2), 50.0, dtype=np.float32)
    starts[0, 0] = 0.0
    found = best_of(rows, starts, iterations=25)
    assert np.bincount(found, minlength=4).min() > 20
    assert objective(rows, found) < objective(rows, np.zeros(400, dtype=np.int64)) / 2


def test_fewer_places_than_clusters_come_to_an_end() -> None:
    rows = np.repeat(drawn(5, 3, seed=7), 20, axis=0)
    found = best_of(rows, spread_starts(rows, 30, np.random.default_rng(0), starts=2), iterations=25)
    assert objective(rows, found) == pytest.approx(0.0, abs=1e-9)
