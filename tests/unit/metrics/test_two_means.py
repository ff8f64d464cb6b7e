"""2-means of many sets at once finds what 2-means of each of them finds by itself."""

from __future__ import annotations

import numpy as np

from repdiag.metrics.clusters.lloyd import best_of
from repdiag.metrics.clusters.spread_starts import spread_starts
from repdiag.metrics.clusters.two_means import drawn_lots, second_clusters


def sets_of(rows: int, generator: np.random.Generator) -> np.ndarray:
    fold = generator.permutation(rows) % 10
    return np.concatenate([np.ones((1, rows), dtype=bool), fold != np.arange(10)[:, None]])


def test_every_set_is_cut_as_it_is_cut_alone() -> None:
    """The same draws, one set at a time: other code, the same partition, whichever of its halves comes first."""
    for seed, apart in ((0, 0.5), (1, 1.5), (2, 4.0)):
        draw = np.random.default_rng(seed)
        rows = draw.standard_normal((90, 12)).astype(np.float32)
        rows[:40, 0] += apart
        inside = sets_of(90, draw)
        lots = [drawn_lots(np.random.default_rng(place), int(each.sum())) for place, each in enumerate(inside)]
        found = second_clusters(rows, inside, lots)
        for place, each in enumerate(inside):
            mine = np.ascontiguousarray(rows[each])
            starts = spread_starts(mine, 2, np.random.default_rng(place), starts=3)
            alone = best_of(mine, starts, iterations=20) == 1
            assert not found[place][~each].any()
            assert np.array_equal(found[place][each], alone) or np.array_equal(~found[place][each], alone)


def test_equal_rows_are_no_two_clusters_and_two_heaps_are() -> None:
    rows = np.ones((30, 4), dtype=np.float32)
    inside = sets_of(30, np.random.default_rng(0))
    lots = [drawn_lots(np.random.default_rng(0), int(each.sum())) for each in inside]
    found = second_clusters(rows, inside, lots)
    assert all(len(np.unique(found[place][each])) == 1 for place, each in enumerate(inside))
    rows[10:] = -1.0
    found = second_clusters(rows, inside, lots)
    for place, each in enumerate(inside):
        assert np.array_equal(found[place][each], (np.arange(30) < 10)[each]) or np.array_equal(
            found[place][each], (np.arange(30) >= 10)[each]
        )
