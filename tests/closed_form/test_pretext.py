"""The pretext task on configurations whose ranks can be told by looking."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from repdiag.metrics.pretext import contrast_accuracy, info_nce, instance_discrimination_accuracy, pretext_gap
from repdiag.metrics.pretext.smaller_galleries import chances, ranks_that_count


def on_a_circle(*degrees: float) -> Tensor:
    angle = torch.tensor(degrees, dtype=torch.float64) * math.pi / 180
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def test_the_rank_is_the_number_of_nearer_rows() -> None:
    """Rows every 10 degrees, views 25 degrees on: ahead of the view lie two rows on each side, one at the first row."""
    rows = on_a_circle(0, 10, 20, 30, 40)
    views = on_a_circle(25, 35, 45, 55, 65)[None]
    ahead = [2, 3, 4, 3, 2]
    for k in range(1, 5):
        found = instance_discrimination_accuracy(rows, views, k=k)
        assert float(found) == pytest.approx(sum(count < k for count in ahead) / 5)
        assert found.per_row is not None
        assert found.per_row.tolist() == [float(count < k) for count in ahead]


def test_a_tie_with_the_positive_is_a_miss_and_is_counted() -> None:
    """Row 1 is an exact copy of the view of row 0, and row 0 of that of row 1: each has one partner level with it."""
    rows = on_a_circle(0, 10, 100, 200)
    views = on_a_circle(10, 0, 101, 201)[None]
    found = instance_discrimination_accuracy(rows, views)
    assert float(found) == 0.5
    assert found.extra["ties"] == 2
    assert float(instance_discrimination_accuracy(rows, views, k=2)) == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_collapsed_space_discriminates_nothing(dtype: torch.dtype) -> None:
    """Everything ties: all queries miss, at every k."""
    rows = torch.ones(40, 3, dtype=dtype) * 0.3
    for k in (1, 5):
        found = instance_discrimination_accuracy(rows, rows[None], k=k)
        assert float(found) == 0.0
        assert found.extra["ties"] == 40


def test_differences_below_float32_still_decide() -> None:
    """In float32 products the two candidates differ by less than rounding; their float64 order is the answer."""
    step = 1e-6
    rows = torch.tensor([[1.0, 0.0, 0.0], [1.0, step, 0.0], [0.0, 0.0, 1.0]])
    nearer = torch.tensor([[[1.0, 0.9 * step, 0.0], [1.0, 0.1 * step, 0.0], [0.0, 0.0, 1.0]]])
    farther = torch.tensor([[[1.0, 1.1 * step, 0.0], [1.0, -0.1 * step, 0.0], [0.0, 0.0, 1.0]]])
    assert float(instance_discrimination_accuracy(rows, nearer)) == 1.0
    assert float(instance_discrimination_accuracy(rows, farther)) == pytest.approx(1 / 3)


def test_the_gap_is_the_difference_of_the_accuracies_of_equal_galleries() -> None:
    """Bank: each view is its row (1.0). Rows: views 25 degrees off among rows every 10 degrees (0.0)."""
    rows, views = on_a_circle(0, 10, 20, 30, 40), on_a_circle(25, 35, 45, 55, 65)[None]
    found = pretext_gap(rows, views, other_features=rows, other_views=rows[None])
    assert float(found) == 1.0
    assert (found.extra["accuracy"], found.extra["bank_accuracy"]) == (0.0, 1.0)


def by_enumeration(rows: Tensor, view: Tensor, *, gallery: int, k: int) -> list[float]:
    """Return the share of all galleries of that size in which each row finds its view, each gallery looked at."""
    found = []
    for query in range(len(rows)):
        others = [row for row in range(len(rows)) if row != query]
        level = float(rows[query] @ view[query])
        drawn = list(itertools.combinations(others, gallery - 1))
        found.append(sum(sum(float(rows[query] @ rows[j]) >= level for j in part) < k for part in drawn) / len(drawn))
    return found


@pytest.mark.parametrize(("gallery", "k"), [(2, 1), (4, 1), (4, 2), (7, 1), (7, 3)])
def test_smaller_galleries_are_all_of_them_together(gallery: int, k: int) -> None:
    generator = torch.Generator().manual_seed(gallery)
    rows = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    rows /= rows.norm(dim=1, keepdim=True)
    view = rows + 0.7 * torch.randn(7, 3, generator=generator, dtype=torch.float64)
    view /= view.norm(dim=1, keepdim=True)
    found = instance_discrimination_accuracy(rows, view[None], k=k, gallery=gallery)
    assert found.per_row is not None
    assert found.per_row.tolist() == pytest.approx(by_enumeration(rows, view, gallery=gallery, k=k), abs=1e-9)


def test_the_gap_of_unequal_sets_is_that_of_galleries_of_the_smaller_size() -> None:
    generator = torch.Generator().manual_seed(0)
    bank = torch.randn(9, 3, generator=generator, dtype=torch.float64)
    bank /= bank.norm(dim=1, keepdim=True)
    seen = bank.roll(1, dims=0) + bank
    seen /= seen.norm(dim=1, keepdim=True)
    rows = on_a_circle(0, 10, 20, 30, 40)
    rows = torch.cat([rows, torch.zeros(5, 1, dtype=torch.float64)], dim=1)
    found = pretext_gap(rows, rows[None], other_features=bank, other_views=seen[None])
    assert found.extra["accuracy"] == 1.0
    expected = sum(by_enumeration(bank, seen, gallery=5, k=1)) / 9
    assert found.extra["bank_accuracy"] == pytest.approx(expected, abs=1e-9)
    turned = pretext_gap(bank, seen[None], other_features=rows, other_views=rows[None])
    assert float(turned) == pytest.approx(-float(found))


def test_ranks_beyond_those_that_count_change_nothing() -> None:
    """Half of 2,000 rows: with 0, 1, 2 rows ahead none of them is among the drawn in 1, 1/2, 1/4 of the galleries."""
    assert chances(2000, 1000, k=1)[:3].tolist() == pytest.approx([1.0, 1000 / 1999, 1000 / 1999 * 999 / 1998])
    assert ranks_that_count(2000, 1000, k=1) < 40
    assert float(chances(2000, 1000, k=1)[-2]) < 1e-8


def test_all_views_are_averaged_image_by_image() -> None:
    """View 1 finds its row for every image, view 2 for none: half a hit each. Two by two, views 1 and 2 never meet."""
    rows, far = on_a_circle(0, 10, 20, 30, 40), on_a_circle(25, 35, 45, 55, 65)
    views = torch.stack([rows, far, rows, rows])
    found = instance_discrimination_accuracy(rows, views, average="views")
    assert found.per_row is not None
    assert found.per_row.tolist() == [0.75] * 5
    pairs = instance_discrimination_accuracy(rows, views, pair="view-view", average="views")
    single = [instance_discrimination_accuracy(rows, views[place:], pair="view-view") for place in (0, 2)]
    assert float(pairs) == pytest.approx(sum(map(float, single)) / 2)
    gap = pretext_gap(rows, views, other_features=rows, other_views=rows[None], average="views")
    assert float(gap) == 0.25


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
@pytest.mark.parametrize("queue_size", [3, 9, 1000])
def test_info_nce_of_orthogonal_images(temperature: float, queue_size: int) -> None:
    """Positives at cosine 1, all K keys at 0: log(1 + K exp(-1 / T)), whichever keys are drawn."""
    rows = torch.eye(10, dtype=torch.float64)
    found = info_nce(torch.stack([rows, 4 * rows]), temperature=temperature, queue_size=queue_size)
    keys = min(queue_size, 9)
    assert float(found) == pytest.approx(math.log1p(keys * math.exp(-1 / temperature)), rel=1e-9)
    assert found.extra["negatives"] == keys


def test_info_nce_at_chance_is_log_of_the_number_of_candidates() -> None:
    views = torch.ones(2, 8, 3, dtype=torch.float64)
    assert float(info_nce(views, queue_size=5)) == pytest.approx(math.log(6))


@pytest.mark.parametrize("seed", range(5))
def test_no_query_meets_its_own_key(seed: int) -> None:
    """Views are copies: its own key would tie with the positive and make a miss. None of the 20 queries misses."""
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(seed))
    found = contrast_accuracy(torch.stack([rows, rows]), queue_size=7, seed=seed)
    assert float(found) == 1.0
    assert found.extra == {"negatives": 7, "ties": 0}


def test_contrast_accuracy_with_the_whole_set_as_queue() -> None:
    """Queries at 0 and 10 degrees have their positives at 16 and 30; each is nearer to query 10 than its own is:
    |10 - 16| < |10 - 30|, but |0 - 16| < |0 - 30|: one of two.
    """
    views = torch.stack([on_a_circle(0, 10), on_a_circle(16, 30)])
    assert float(contrast_accuracy(views)) == 0.5
