"""Islands that are there are counted, what is one piece stays one: spaces with a known number of pieces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.metrics.clusters import islands
from repdiag.metrics.clusters.bisection import bisect, held_out_scores, valley
from repdiag.metrics.clusters.class_islands import class_islands
from repdiag.metrics.clusters.dip import dip, one_mode_p_value
from repdiag.metrics.evaluate import evaluate


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_dip_of_even_steps_is_half_a_step_and_of_two_values_a_quarter_at_most() -> None:
    """Equal steps lie on a line, which half a step of F_n overshoots; of two far heaps each half is a step of 1/2."""
    assert dip(np.arange(20.0)) == pytest.approx(1 / 40)
    heaps = np.concatenate([np.linspace(0.0, 1e-6, 50), 1.0 + np.linspace(0.0, 1e-6, 50)])
    assert dip(heaps) == pytest.approx(0.25, abs=0.006)
    assert dip(np.zeros(9)) == 0.0


def test_p_values_fall_with_the_dip_and_with_the_rows_beyond_every_simulated_quantile() -> None:
    for rows in (10, 50, 700, 100_000):
        found = [one_mode_p_value(height / rows**0.5, rows) for height in np.linspace(0.2, 1.5, 40)]
        assert all(first >= second for first, second in itertools.pairwise(found))
        assert found[0] == 1.0
        assert 0.0 < found[-1] < 1e-6


def test_uniform_rows_are_rejected_as_often_as_the_p_value_says() -> None:
    """Of uniform samples a tenth has p below .1: the table is that of the null."""
    draw = np.random.default_rng(0)
    for rows in (20, 75, 300):
        values = [one_mode_p_value(dip(draw.random(rows)), rows) for _ in range(400)]
        assert binomtest(sum(value <= 0.1 for value in values), 400, 0.1).pvalue > 1e-3


def placed(islands_of: list[int], *, rows: int, spread: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return classes of so many islands each at centres of their own."""
    centres = normal(100 + seed, sum(islands_of), 16)
    place = torch.arange(sum(islands_of)).repeat_interleave(rows)
    labels = torch.arange(len(islands_of)).repeat_interleave(torch.tensor(islands_of))[place]
    return centres[place] + spread * normal(seed, len(place), 16), labels


@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_every_class_has_as_many_pieces_as_it_was_given(spread: float) -> None:
    features, labels = placed([1, 2, 3, 4], rows=60, spread=spread)
    value = islands(features, labels)
    assert value.per_class is not None
    assert value.per_class.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert float(value) == 2.5
    assert value.extra["share_split"] == 0.75
    assert sorted(value.extra["split"]) == ["1", "2", "3"]


def test_a_split_comes_with_its_shares_its_direction_and_the_rows_at_its_ends() -> None:
    features, labels = placed([1, 2], rows=60, spread=0.3)
    one, two = class_islands(features, labels)
    assert (one.pieces, one.shares, one.low) == (1, (), ())
    assert two.shares == pytest.approx((0.5, 0.5), abs=0.02)
    ends = [{(row - 60) // 60 for row in end} for end in (two.low, two.high)]
    assert sorted(map(tuple, ends)) == [(0,), (1,)]
    centres = torch.nn.functional.normalize(features).reshape(3, 60, 16).mean(dim=1)
    between = torch.nn.functional.normalize(centres[2] - centres[1], dim=0)
    assert abs(float(between @ torch.as_tensor(two.direction))) > 0.95


def test_a_small_island_beside_a_large_one_is_cut_at_the_valley_and_not_in_the_middle() -> None:
    features = 0.5 * normal(0, 260, 8) + 4.0 * torch.eye(8, dtype=torch.float64)[0]
    features[200:] += 4.0 * torch.eye(8, dtype=torch.float64)[1]
    both = torch.cat([features, -4.0 * torch.eye(8)[2] + 0.5 * normal(1, 100, 8)])
    found = class_islands(both, torch.tensor([0] * 260 + [1] * 100))
    assert [each.pieces for each in found] == [2, 1]
    assert min(found[0].shares) == pytest.approx(60 / 260, abs=0.01)


SHAPES = {
    "a ball": lambda seed: normal(seed, 300, 12),
    "more dimensions than rows": lambda seed: normal(seed, 60, 128),
    "a rod": lambda seed: normal(seed, 200, 12) * torch.tensor([4.0] + [1.0] * 11),
    "heavy tails": lambda seed: normal(seed, 200, 12) / normal(seed + 1, 200, 4).square().mean(dim=1).sqrt()[:, None],
    "a flat disc": lambda seed: torch.nn.functional.pad(
        torch.rand(200, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 0.5, (0, 4)
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_one_piece_is_hardly_ever_split_whatever_its_shape(shape: str) -> None:
    """At 5 % for one class alone: 40 draws may reject six times in one case of a hundred."""
    split = 0
    for seed in range(40):
        rows = SHAPES[shape](1_000 * seed).numpy()
        split += bisect(rows, alpha=0.05, generator=np.random.default_rng(seed)).pieces > 1
    assert split <= 5


def test_rows_are_scored_by_directions_that_they_had_no_part_in() -> None:
    """In 100 dimensions 40 rows of noise part cleanly along the direction fitted to them, and not along others'."""
    rows = normal(3, 40, 100).numpy()
    scores = held_out_scores(rows, generator=np.random.default_rng(0))
    assert one_mode_p_value(dip(scores), 40) > 0.1


def test_the_valley_lies_between_the_two_modes() -> None:
    scores = np.concatenate([np.random.default_rng(0).normal(0.0, 1.0, 900), np.random.default_rng(1).normal(8, 1, 60)])
    assert 3.0 < valley(scores) < 6.5


def test_too_few_rows_are_said_with_their_number() -> None:
    features, labels = placed([2, 2], rows=20, spread=0.2)
    value = islands(features, labels)
    assert value.value is None
    assert value.reason == "too few rows: 48 a class are needed, the largest has 40"
    mixed = islands(features, torch.tensor([0] * 70 + [1] * 10))
    assert mixed.extra["too_few_rows"] == {"1": 10}
    assert mixed.extra["judged_classes"] == 1
    copies = islands(features.repeat(3, 1), labels.repeat(3))
    assert copies.reason == value.reason


def test_confusions_are_no_islands() -> None:
    """Thirty rows of one class that lie within the other are errors of the encoder, not a piece of their class."""
    features, labels = placed([1, 1], rows=100, spread=0.2)
    labels[170:] = 0
    found = class_islands(features, labels)
    # Their nearest rows are often one another: only those among the other class are left out.
    assert found[0].judged <= 130
    assert found[1].pieces == 1
    assert found[1].judged <= 70


def test_evaluate_keeps_which_classes_are_split() -> None:
    features, labels = placed([1, 2], rows=60, spread=0.3)
    row = evaluate(EmbeddingSet(features=features, labels=labels), ["islands"]).rows[0]
    assert row.value == 1.5
    assert row.extra["split"]["1"]["pieces"] == 2
    assert set(row.extra["split"]["1"]["low"]) <= set(range(60, 180))
