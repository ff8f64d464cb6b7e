"""Neighbour metrics on configurations whose neighbours can be told by looking."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repdiag.metrics.neighbors import (
    best_nn,
    hubness,
    knn_accuracy,
    label_gap,
    locality,
    map_at_r,
    mean_average_precision,
    mean_reciprocal_rank,
    precision_at_1,
    r_precision,
    two_nn_dimension,
)
from repdiag.metrics.probes import linear_probe_accuracy


def on_a_circle(*degrees: float) -> Tensor:
    angle = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([angle.cos(), angle.sin()], dim=1)


ROWS = on_a_circle(0, 10, 21, 33, 46)
LABELS = torch.tensor([0, 1, 0, 0, 1])
# Order of partners, near to far, and which are of the same class:
#    0 (class 0): 10 21 33 46 -> 0 1 1 0
#   10 (class 1):  0 21 33 46 -> 0 0 0 1
#   21 (class 0): 10 33  0 46 -> 0 1 1 0
#   33 (class 0): 21 46 10  0 -> 1 0 0 1
#   46 (class 1): 33 21 10  0 -> 0 0 1 0


def test_retrieval_by_hand() -> None:
    """R is 2, 1, 2, 2, 1. The formulas on the five rankings above."""
    assert float(precision_at_1(ROWS, LABELS)) == pytest.approx(1 / 5)
    assert float(r_precision(ROWS, LABELS)) == pytest.approx((1 / 2 + 0 + 1 / 2 + 1 / 2 + 0) / 5)
    assert float(map_at_r(ROWS, LABELS)) == pytest.approx((1 / 4 + 0 + 1 / 4 + 1 / 2 + 0) / 5)
    assert float(mean_reciprocal_rank(ROWS, LABELS)) == pytest.approx((1 / 2 + 1 / 4 + 1 / 2 + 1 + 1 / 3) / 5)
    averages = [(1 / 2 + 2 / 3) / 2, 1 / 4, (1 / 2 + 2 / 3) / 2, (1 + 2 / 4) / 2, 1 / 3]
    assert float(mean_average_precision(ROWS, LABELS)) == pytest.approx(sum(averages) / 5)


def test_rows_alone_in_their_class_are_left_out_and_counted() -> None:
    labels = torch.tensor([0, 1, 0, 0, 2])
    for function in (precision_at_1, r_precision, map_at_r, mean_average_precision, mean_reciprocal_rank):
        found = function(ROWS, labels)
        assert found.n == 3
        assert found.extra["lone_rows"] == 2


def test_a_class_in_many_islands_is_precise_at_one_but_not_at_r() -> None:
    """Ten islands of four rows, two classes in turn: a row's three island mates are its class; R is 19."""
    islands = torch.arange(10).repeat_interleave(4)
    rows = on_a_circle(*(36.0 * islands + 0.5 * (torch.arange(40) % 4)).tolist())
    labels = islands % 2
    assert float(precision_at_1(rows, labels)) == 1.0
    assert float(r_precision(rows, labels)) < 0.6


def test_locality_by_hand() -> None:
    """Of 24 rows in 6 islands, 2 of each of 3 classes: precision is 1; of R = 7 partners 3 are found, then strangers.

    Islands of one class lie opposite one another; the four next partners are in the islands beside, of other classes.
    Chance is 7 / 23.
    """
    island = torch.arange(6).repeat_interleave(4)
    rows = on_a_circle(*(60.0 * island + 0.5 * (torch.arange(24) % 4)).tolist())
    found = locality(rows, island % 3)
    chance = 7 / 23
    assert float(found) == pytest.approx((3 / 7 - chance) / (1 - chance))
    assert found.extra["chance"] == pytest.approx(chance)


def test_locality_is_undefined_where_the_nearest_rows_know_nothing() -> None:
    rows = torch.randn(90, 6, generator=torch.Generator().manual_seed(0))
    found = locality(rows, torch.arange(90) % 3)
    assert found.value is None
    assert "by chance" in str(found.reason)
    assert locality(rows, torch.arange(90)).reason == "no class has two rows"


def test_the_label_gap_is_the_difference_of_two_galleries_of_equal_classes() -> None:
    """The five rows above, 1 of 5 right, against the same rows under labels by which 4 of 5 are."""
    seen = torch.tensor([0, 0, 0, 1, 1])
    found = label_gap(ROWS, LABELS, other_features=ROWS, other_labels=seen)
    assert float(found) == pytest.approx(float(precision_at_1(ROWS, seen)) - 1 / 5)
    deep = label_gap(ROWS, LABELS, other_features=ROWS, other_labels=seen, of="r_precision")
    assert float(deep) == pytest.approx(float(r_precision(ROWS, seen)) - 3 / 10)
    unequal = label_gap(ROWS, LABELS, other_features=ROWS, other_labels=torch.tensor([0, 0, 0, 0, 1]))
    assert unequal.value is None
    assert "2 of 2 differ (class 0 3 and 4, class 1 2 and 1)" in str(unequal.reason)


def test_of_the_larger_set_the_mean_over_galleries_of_the_smaller_ones_counts() -> None:
    """Two galleries of two rows a class: class 0 lies about 0 degrees, class 1 about 90 but for a stray at 5.

    However the rows are dealt, the rows of class 0 find each other. In one gallery so do those of class 1; in the other
    the stray finds class 0, and its partner the stray, which is 85 degrees away and of its class, before 89 and more.
    So 7 of the 8 rows are right.
    """
    bank = on_a_circle(0, 1, 0.2, 1.1, 90, 91, 90.2, 5)
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])
    few = on_a_circle(0, 1, 90, 91)
    found = label_gap(few, torch.tensor([0, 0, 1, 1]), other_features=bank, other_labels=labels)
    assert float(found) == pytest.approx(7 / 8 - 1.0)
    assert (found.extra["galleries"], found.extra["bank_galleries"], found.n) == (1, 2, 4)
    turned = label_gap(bank, labels, other_features=few, other_labels=torch.tensor([0, 0, 1, 1]))
    assert float(turned) == -float(found)


def test_knn_votes_are_weighted() -> None:
    """One neighbour at 0 degrees against two at 60: exp(1/T) > 2 exp(0.5/T) from T < 0.72 on."""
    query, bank = on_a_circle(0), on_a_circle(0, 60, -60)
    given = {"other_features": bank, "other_labels": torch.tensor([7, 3, 3])}
    assert float(knn_accuracy(query, torch.tensor([7]), k=3, temperature=0.7, **given)) == 1.0
    assert float(knn_accuracy(query, torch.tensor([7]), k=3, temperature=0.74, **given)) == 0.0
    assert float(knn_accuracy(query, torch.tensor([7]), k=3, temperature=0.74, top=2, **given)) == 1.0


@pytest.mark.parametrize("metric", [knn_accuracy, best_nn, linear_probe_accuracy])
def test_a_bank_of_other_classes_is_said_and_not_scored_as_0(metric) -> None:
    rows, labels = torch.eye(4, dtype=torch.float64).repeat(6, 1), torch.arange(4).repeat(6)
    found = metric(rows, labels, other_features=rows, other_labels=labels + 10)
    assert found.value is None
    assert "no class in common" in found.reason
    assert (
        metric(rows, labels, other_features=rows, other_labels=labels + 1).value is not None
    )  # three of four are there


def test_knn_says_why_a_k_is_out_of_reach() -> None:
    found = knn_accuracy(ROWS, LABELS, other_features=ROWS, other_labels=LABELS, k=6)
    assert found.value is None
    assert found.reason == "k=6 is more than the 5 rows of the bank"


def test_best_nn_takes_the_smallest_of_the_best_k() -> None:
    """The nearest bank row lies: k = 1 is wrong; at k = 3 and 5 the class of the rest wins."""
    bank = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [50.0]])
    labels = torch.tensor([9, 5, 5, 5, 5, 9])
    found = best_nn(torch.tensor([[-1.0]]), torch.tensor([5]), other_features=bank, other_labels=labels)
    assert float(found) == 1.0
    assert found.extra["k"] == 3
    assert found.extra["curve"] == {"1": 0.0, "3": 1.0, "5": 1.0}


def test_equal_votes_go_to_the_smaller_label() -> None:
    bank, labels = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([8, 4, 6])
    given = {"other_features": bank, "other_labels": labels}
    votes = {
        truth: best_nn(torch.zeros(1, 1), torch.tensor([truth]), **given).extra["curve"]["3"] for truth in (4, 6, 8)
    }
    assert votes == {4: 1.0, 6: 0.0, 8: 0.0}


def test_hubness_of_a_star() -> None:
    """Euclidean, k = 1: the hub is nearest to all N - 1 others, whose own counts are 0 but for the one that the hub
    itself picks (the first of its equals). N_1 = (N - 1, 1, 0, ..): mean 1, third moment over variance^1.5 by hand.
    """
    arms = 9
    rows = torch.cat([torch.zeros(1, arms), torch.eye(arms)]).double()
    found = hubness(rows, k=1, normalize=False)
    counts = torch.tensor([arms, 1] + [0] * (arms - 1)).double()
    away = counts - 1
    assert float(found) == pytest.approx(float(away.pow(3).mean() / away.pow(2).mean() ** 1.5))
    assert found.extra["max_occurrence"] == arms
    assert found.extra["antihub_occurrence"] == pytest.approx((arms - 1) / (arms + 1))
    assert found.extra["hub_occurrence"] == pytest.approx(arms / (arms + 1))
    assert found.extra["robinhood"] == pytest.approx((arms - 1 + arms - 1) / (2 * (arms + 1)))


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_two_nn_finds_the_dimension_of_a_cube(dims: int) -> None:
    """Uniform rows in a cube laid into 20 dimensions by a rotation; the estimator's error is about d / sqrt(N)."""
    generator = torch.Generator().manual_seed(dims)
    inside = torch.rand(3000, dims, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(20, 20, generator=generator, dtype=torch.float64)).Q
    assert float(two_nn_dimension(inside @ rotation[:dims])) == pytest.approx(dims, rel=0.08)


def test_two_nn_drops_copies_before_it_looks_for_neighbours() -> None:
    rows = torch.rand(300, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    doubled = torch.cat([rows, rows[:200], rows[:50]])
    found = two_nn_dimension(doubled)
    assert float(found) == float(two_nn_dimension(rows))
    assert (found.n, found.extra["duplicates"]) == (300, 250)


def test_two_nn_needs_three_different_rows() -> None:
    found = two_nn_dimension(torch.tensor([[1.0], [1.0], [2.0], [2.0]]))
    assert (found.value, found.reason) == (None, "needs three different rows, there are 2")
