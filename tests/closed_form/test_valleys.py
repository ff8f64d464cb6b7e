"""Valleys that can be counted by hand: rows along one line, in two heaps or in none."""

from __future__ import annotations

import numpy as np
import pytest

from repdiag.metrics.clusters.valleys import Valleys, border_counts, valleys


def found(*counts: list[float] | np.ndarray, weights: tuple[float, ...] = (1.0,)) -> Valleys:
    """The valleys of classes with these counts at one number of pieces."""
    return valleys(np.array(counts, dtype=np.float64)[:, None], np.array(weights)[:, None])


def counted(rows: np.ndarray) -> np.ndarray:
    line = np.stack([rows, np.zeros_like(rows)], axis=1).astype(np.float32)
    return border_counts(line, 2, seed=0, generator=np.random.default_rng(0))


def test_two_heaps_have_a_valley_and_an_even_line_has_none() -> None:
    even = found(counted(np.linspace(-1, 1, 600)))
    assert even.depth[0] == pytest.approx(0.0, abs=0.3)  # the worse of two sides, each with a standard error of .13
    heaps = found(counted(np.r_[np.linspace(-1.2, -0.8, 300), np.linspace(0.8, 1.2, 300)]))
    assert (heaps.depth[0], heaps.sure[0]) == (1.0, True)


def test_a_long_tail_has_no_valley() -> None:
    """The tail thins out from the border on: on its side rows are the denser the closer to it they lie."""
    tail = -np.log(np.linspace(0.001, 1.0, 600))  # an exponential distribution
    assert found(counted(tail)).depth[0] < 0.0


@pytest.mark.parametrize(("rows", "sure"), [(13, False), (14, True)])
def test_how_many_rows_it_takes_to_be_sure(rows: int, sure: bool) -> None:
    """No row close to the border of n: Wilson's upper bound z2 / (n + z2) is below a sixth from 5 z2 = 13.5 rows on."""
    told = found([rows, 0.0, 0.0, 0.0])
    assert (told.depth[0], told.sure[0]) == (1.0, sure)


def test_classes_without_weight_do_not_count() -> None:
    heap, cut = [50.0, 50.0, 0.0, 0.0], [50.0, 50.0, 20.0, 20.0]
    assert found(heap, cut, weights=(1.0, 0.0)).depth[0] == 1.0
    assert found(heap, cut, weights=(1.0, 1.0)).depth[0] == pytest.approx(1.0 - 6.0 * 20.0 / 100.0)
