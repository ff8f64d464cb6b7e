"""Numbers of a pair of encoders whose answers follow from how the second one was made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from repdiag.metrics.similarity import cross_gallery, mutual_knn, neighbors_kept, row_cosine
from repdiag.metrics.similarity.threshold_shift import threshold_shift


def gaussian(rows: int, dims: int, *, seed: int) -> Tensor:
    return torch.randn(rows, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(dims: int, *, seed: int = 9) -> Tensor:
    return torch.linalg.qr(gaussian(dims, dims, seed=seed)).Q


def on_a_circle(degrees: list[float]) -> Tensor:
    angles = torch.tensor(degrees, dtype=torch.float64) * torch.pi / 180.0
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_one_moved_row_changes_what_it_and_those_beside_it_find() -> None:
    """Pairs at 0, 10 and 90, 100 degrees; the row at 10 moves to 80. Nearest before: 1, 0, 3, 2.

    After: row 0 finds row 1 as before (80 away, 90 is further), row 1 finds 2, row 2 finds 1 and row 3 still 2.
    """
    old, new = on_a_circle([0, 10, 90, 100]), on_a_circle([0, 80, 90.5, 100])
    found = neighbors_kept(old, other_features=new)
    assert found.per_row is not None
    assert found.per_row.tolist() == [1.0, 0.0, 1.0, 1.0]
    assert float(found) == 0.75


def test_neighbors_kept_without_ties_is_the_mutual_knn_of_the_same_depth() -> None:
    old = gaussian(60, 5, seed=0)
    new = old + 0.3 * gaussian(60, 5, seed=1)
    for k in (1, 7):
        assert float(neighbors_kept(old, other_features=new, k=k)) == float(mutual_knn(old, other_features=new, k=k))


def test_copies_that_change_places_are_no_change() -> None:
    """Every image three times; noise below float32's digits decides which of the two copies is the nearer."""
    old = gaussian(20, 4, seed=2).repeat(3, 1)
    new = old + 1e-8 * gaussian(60, 4, seed=3)
    assert float(mutual_knn(old, other_features=new, k=1)) < 0.9
    assert float(neighbors_kept(old, other_features=new)) == 1.0
    assert float(cross_gallery(old, other_features=new)) == 1.0


def test_a_rotation_keeps_neighbours_loses_the_gallery_and_is_repaired() -> None:
    old = gaussian(200, 6, seed=4)
    new = old @ rotation(6)
    assert float(neighbors_kept(old, other_features=new, k=10)) == 1.0
    assert float(cross_gallery(old, other_features=new)) < 0.2
    assert float(cross_gallery(old, other_features=new, rotated=True)) == 1.0


def test_a_wider_space_that_holds_the_old_one_turned_is_repaired_too() -> None:
    old = gaussian(200, 5, seed=5)
    new = torch.cat([old, torch.zeros(200, 3, dtype=torch.float64)], dim=1) @ rotation(8)
    plain = cross_gallery(old, other_features=new)
    assert plain.value is None
    assert "5" in str(plain.reason)
    assert float(cross_gallery(old, other_features=new, rotated=True)) == 1.0


def test_a_rotation_fitted_to_unrelated_rows_repairs_nothing() -> None:
    """The map is applied to rows that it was not fitted to: it cannot flatter itself."""
    old, new = gaussian(120, 50, seed=6), gaussian(120, 50, seed=7)
    assert float(cross_gallery(old, other_features=new, rotated=True)) < 0.1


def test_row_cosine_is_the_cosine_of_the_angle_that_rows_turned_by() -> None:
    old, new = on_a_circle([0, 40, 90]), on_a_circle([60, 100, 150])
    found = row_cosine(old, other_features=7.0 * new)
    assert float(found) == pytest.approx(0.5, rel=1e-12)
    assert found.extra["lowest"] == pytest.approx(0.5, rel=1e-12)


def test_a_threshold_passes_the_pairs_that_lie_within_its_angle() -> None:
    """Classes at 0, 20 and at 90, 110 degrees, then at 0, 20 and 30, 50: cos 60 lets four of four other pairs pass."""
    labels = torch.tensor([0, 0, 1, 1])
    shift = threshold_shift(on_a_circle([0, 20, 90, 110]), on_a_circle([0, 20, 30, 50]), labels, threshold=0.5)
    assert shift is not None
    assert (shift.same_pairs, shift.other_pairs) == (2, 4)
    assert (shift.old.true_accepts, shift.old.false_accepts) == (1.0, 0.0)
    assert (shift.new.true_accepts, shift.new.false_accepts) == (1.0, 1.0)
    assert shift.old.same_mean == pytest.approx(np.cos(np.pi / 9), rel=1e-12)


def test_without_a_threshold_it_is_that_of_one_false_accept_in_a_hundred() -> None:
    rows, labels = gaussian(400, 8, seed=8), torch.arange(400) % 4
    shift = threshold_shift(rows, rows, labels)
    assert shift is not None
    assert shift.old.false_accepts == pytest.approx(0.01, abs=2e-5)
    assert shift.new == shift.old == shift.mixed
    assert threshold_shift(rows, rows, torch.zeros(400, dtype=torch.int64)) is None
