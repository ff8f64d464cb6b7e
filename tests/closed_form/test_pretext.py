"""The pretext task on configurations whose ranks can be told by looking."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repdiag.metrics.pretext import contrast_accuracy, info_nce, instance_discrimination_accuracy, pretext_gap


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


def test_unequal_galleries_have_no_gap() -> None:
    found = pretext_gap(
        torch.eye(4), torch.eye(4)[None], other_features=torch.eye(4)[:3], other_views=torch.eye(4)[None, :3]
    )
    assert found.value is None
    assert "differ in size (4 rows, 3 in the bank)" in str(found.reason)


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
