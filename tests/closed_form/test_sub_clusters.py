"""Islands that can be counted by hand: balls far apart, on axes of their own."""

from __future__ import annotations

import pytest
import torch

from repdiag.metrics import sub_clusters


def balls(islands: int, *, rows: int = 10, classes: int = 4, shared: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Each island is a ball of radius about .1 around an axis of its own, plus `shared` along an axis of its class.

    Centres of one class are sqrt(2) apart and rows of one island at most about .3, so any count but `islands` either
    leaves a pair of islands together or cuts a ball.
    """
    generator = torch.Generator().manual_seed(0)
    total, dims = classes * islands, classes * islands + classes
    island = torch.arange(total).repeat_interleave(rows)
    labels = island // islands
    centres = torch.eye(dims)[island] + shared * torch.eye(dims)[total + labels]
    return centres + 0.1 / dims**0.5 * torch.randn(len(labels), dims, generator=generator), labels


@pytest.mark.parametrize("islands", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_islands_are_counted_wherever_they_lie(islands: int, shared: float) -> None:
    features, labels = balls(islands, shared=shared)
    assert float(sub_clusters(features, labels)) == islands


def test_an_elongated_class_is_one_piece() -> None:
    """A normal class is its own reference, whatever its covariance: the gap is zero in expectation."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([1.0, 0.3, 0.1, 0.03])
    features = torch.randn(400, 4, generator=generator) * lengths + torch.tensor([0.0, 0.0, 0.0, 8.0])
    value = sub_clusters(features, torch.arange(4).repeat_interleave(100))
    assert float(value) == 1.0


def test_confusions_are_not_islands() -> None:
    """A tenth of each class sits among the rows of another: these rows have strangers as nearest neighbours."""
    features, labels = balls(1, rows=100)
    moved = torch.arange(len(labels)) % 10 == 0
    assert float(sub_clusters(features, torch.where(moved, (labels + 1) % 4, labels))) == 1.0


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_ring_and_half_a_ring_are_one_piece(share: float) -> None:
    """Points along a circle: however many pieces, rows lie as densely at their borders as anywhere."""
    angle = share * torch.linspace(0, 6.2832, 201)[:-1]
    rings = [torch.zeros(200, 8) for _ in range(4)]
    for number, ring in enumerate(rings):
        ring[:, 2 * number], ring[:, 2 * number + 1] = angle.cos(), angle.sin()
        ring[:, (2 * number + 2) % 8] = 1.0
    value = sub_clusters(torch.cat(rings), torch.arange(4).repeat_interleave(200))
    assert float(value) == value.ci_high == 1.0
    assert value.extra["depth"] < 0.5  # the gap alone would have counted many


def test_a_dense_middle_with_far_tails_is_one_piece() -> None:
    """Rows at any distance from one centre, in all directions alike: what is cut off is never an island."""
    generator = torch.Generator().manual_seed(0)
    centres, labels = torch.eye(32)[:6], torch.arange(6).repeat_interleave(80)
    tails = torch.randn(480, 3, generator=generator).square().mean(1, keepdim=True).rsqrt()
    noise = 0.25 / 32**0.5 * torch.randn(480, 32, generator=generator)
    value = sub_clusters(centres[labels] + tails * noise, labels)
    assert float(value) == value.ci_high == 1.0


def test_classes_in_one_piece_do_not_hide_the_islands_of_others() -> None:
    whole, shattered = balls(1, rows=40), balls(4)
    rows = torch.block_diag(whole[0], shattered[0])
    value = sub_clusters(rows, torch.cat([whole[1], shattered[1] + 4]))
    assert float(value) == 4.0
    assert value.ci_low is not None
    assert value.ci_low > 3.0


def test_islands_of_few_rows_are_shown_but_not_sure() -> None:
    """Twelve rows leave none at a border by chance too: their number is told, and the interval begins at one."""
    value = sub_clusters(*balls(2, rows=3, classes=2))
    assert (float(value), value.ci_low) == (2.0, 1.0)


def test_too_few_rows_are_named() -> None:
    value = sub_clusters(torch.eye(8), torch.arange(8) // 2)
    assert value.value is None
    assert "6 different rows" in str(value.reason)
