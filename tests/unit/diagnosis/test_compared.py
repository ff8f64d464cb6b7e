"""Two encoders on images of the same classes: which differs, in what, and what is not told apart."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import MetricError, UsageError
from repdiag.diagnosis.compared import Compared, compare_encoders
from repdiag.diagnosis.compared_answers import answers

LABELS = torch.arange(6).repeat_interleave(60)


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def encoded(pieces: int = 1, *, spread: float = 0.5, seed: int = 0, merged: bool = False) -> EmbeddingSet:
    """Return six classes in so many islands each, at centres of their own; `merged`: in pairs that share a centre."""
    own = LABELS // 2 if merged else LABELS * pieces + torch.arange(360) % pieces
    features = normal(90 + pieces, 24, 24)[own] + spread * normal(seed, 360, 24)
    return EmbeddingSet(features=features, labels=LABELS, views=features[None] + 0.3 * normal(seed + 1, 1, 360, 24))


def retrieved(first: EmbeddingSet, second: EmbeddingSet, **given: object) -> Compared:
    return compare_encoders(first, second, measures=("r_precision", "precision_at_1"), **given)


def said(compared: Compared) -> dict[str, str]:
    return {answer.question: answer.answer for answer in answers(compared)}


def test_classes_in_three_islands_are_more_over_clustered_than_whole_ones_and_the_reverse() -> None:
    found = compare_encoders(encoded(3, spread=0.4), encoded(1, spread=0.4, seed=5))
    assert said(found)["over_clustering"] == "more over-clustered"
    assert said(found)["grouping"] == "worse"
    answer = answers(found)[0]
    assert answer.measure == "granularity"
    assert answer.ci_low < 3.0 < answer.ci_high or answer.size == pytest.approx(3.0, rel=0.3)
    assert found.changes["locality"].change < -0.3
    reverse = compare_encoders(encoded(1, spread=0.4, seed=5), encoded(3, spread=0.4))
    assert said(reverse)["over_clustering"] == "less over-clustered"
    assert answers(reverse)[0].size == pytest.approx(1.0 / answer.size)


def test_merged_classes_are_coarser_and_worse_grouped_and_not_over_clustered() -> None:
    """Their locality falls like that of islands: alone it would call them over-clustered."""
    found = compare_encoders(encoded(merged=True), encoded(seed=5))
    assert found.changes["r_precision"].sign == -1
    assert said(found) == {"over_clustering": "coarser", "grouping": "worse", "accuracy": "worse"}
    assert answers(found)[0].size == pytest.approx(0.5, rel=0.25)


def test_a_flat_curve_with_an_early_peak_is_no_sign_of_over_clustering() -> None:
    """The centre of a flat curve lies far out whatever the classes do: whose peak is early has merged them."""
    found = compare_encoders(encoded(3, spread=0.4), encoded(1, spread=0.4, seed=5))
    granularity = found.changes["granularity"]
    assert granularity.peaks is not None
    assert granularity.peaks[0] > 2.0
    early = replace(granularity, peaks=(0.5, granularity.peaks[1]))
    assert said(replace(found, changes={**found.changes, "granularity": early}))["over_clustering"] == "not told apart"


def test_an_encoder_is_not_told_apart_from_itself_nor_often_from_its_equal() -> None:
    same = compare_encoders(encoded(), encoded())
    assert set(said(same).values()) == {"not told apart"}
    assert all(change.change == 0.0 for change in same.changes.values())
    called = [said(retrieved(encoded(spread=1.3, seed=a), encoded(spread=1.3, seed=a + 50))) for a in range(30)]
    assert sum(set(each.values()) != {"not told apart"} for each in called) <= 5


@pytest.mark.parametrize("classes", [5, 6, 7])
def test_three_rows_in_ten_more_are_told_apart_with_few_classes(classes: int) -> None:
    """Of 30 rows a class 6 lie among the next one: (24 x 6 / 29 + 6 x 24 / 29) / 30 = .33 find a stranger."""
    labels = torch.arange(classes).repeat_interleave(30)
    moved = torch.arange(len(labels)) % 5 == 0
    noise = 0.05 * normal(classes, len(labels), 8)
    first = EmbeddingSet(features=torch.eye(8, dtype=torch.float64)[labels] + noise, labels=labels)
    away = torch.where(moved, (labels + 1) % classes, labels)
    second = EmbeddingSet(features=torch.eye(8, dtype=torch.float64)[away] + noise, labels=labels)
    found = retrieved(first, second)
    assert found.changes["precision_at_1"].change == pytest.approx(0.33, abs=0.08)
    assert said(found) == {"grouping": "better", "accuracy": "better"}
    assert said(retrieved(second, first)) == {"grouping": "worse", "accuracy": "worse"}


def memorised(seed: int, share: float) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return rows, and train rows that lie so much nearer to their class."""
    held_out = encoded(spread=2.0, seed=seed)
    train = encoded(spread=2.0 * (1.0 - share), seed=seed + 7)
    return held_out, replace(train, row_ids=np.arange(360) + 1000)


def test_what_was_memorised_is_more_overfitted_by_its_labels() -> None:
    (first, first_train), (second, second_train) = memorised(0, 0.6), memorised(30, 0.0)
    gaps = ("label_gap", "pretext_gap", "knn_accuracy")
    found = compare_encoders(first, second, first_train=first_train, second_train=second_train, measures=gaps)
    change = found.changes["label_gap"]
    assert change.sign == 1
    assert change.change == pytest.approx(change.first - change.second)
    answer = next(each for each in answers(found) if each.question == "overfitting")
    assert answer.answer == "more overfitted"
    assert "labels" in answer.kinds
    assert next(each for each in answers(found) if each.question == "accuracy").measure == "knn_accuracy"


def test_without_train_sets_there_are_no_gaps_and_the_reason_is_said() -> None:
    found = compare_encoders(encoded(), encoded(seed=5))
    assert set(found.missing) == {"label_gap", "pretext_gap", "knn_accuracy"}
    assert "train sets" in found.missing["label_gap"]
    assert "overfitting" not in said(found)


def test_gaps_are_taken_at_equal_numbers_of_rows_on_all_four_sides() -> None:
    (first, train), (second, other) = memorised(0, 0.6), memorised(30, 0.0)
    few = train.select(np.flatnonzero(np.arange(360) % 60 < 20))
    found = compare_encoders(first, second, first_train=few, second_train=other, measures=["label_gap"])
    assert found.changes["label_gap"].n == 120


def test_rows_are_paired_by_their_ids_in_whatever_order() -> None:
    first, second = encoded(spread=1.2), encoded(spread=1.2, seed=5)
    shuffled = second.select(np.random.default_rng(0).permutation(360))
    there = retrieved(first, second).changes["r_precision"]
    back = retrieved(first, shuffled).changes["r_precision"]
    assert back.change == pytest.approx(there.change)
    assert back.ci_low == pytest.approx(there.ci_low)
    most = retrieved(first, second.select(np.arange(10, 360)))
    assert most.changes["r_precision"].n == 350


def test_unlike_rows_are_two_independent_sets_which_tell_less_apart() -> None:
    first, second = encoded(spread=1.2), encoded(spread=1.2, seed=5)
    noisier = replace(first, features=first.features + 0.3 * normal(8, 360, 24))
    paired = retrieved(first, noisier).changes["r_precision"]
    elsewhere = replace(second, features=second.features + 0.3 * normal(8, 360, 24), row_ids=np.arange(360) + 500)
    apart = retrieved(first, elsewhere).changes["r_precision"]
    assert "two sets" in apart.method
    assert apart.ci_high - apart.ci_low > 1.3 * (paired.ci_high - paired.ci_low)


def test_drawn_classes_are_the_units_where_they_are_said_to_be() -> None:
    first, second = encoded(spread=1.2), encoded(spread=1.3, seed=5)
    fixed, drawn = (retrieved(first, second, groups=groups).changes["r_precision"] for groups in (None, "classes"))
    assert drawn.change == fixed.change
    assert drawn.freedom <= 6
    assert fixed.freedom > 15


def test_what_cannot_be_compared_is_refused() -> None:
    bare = EmbeddingSet(features=normal(0, 20, 4))
    with pytest.raises(MetricError, match="by their classes"):
        compare_encoders(bare, bare)
    renamed = replace(encoded(), labels=(LABELS + 1) % 6)
    with pytest.raises(MetricError, match="other labels"):
        compare_encoders(encoded(), renamed)
    strangers = replace(encoded(), labels=LABELS + 50, row_ids=np.arange(360) + 900)
    with pytest.raises(UsageError, match="r_precision"):
        compare_encoders(encoded(), encoded(), measures=["r_precison"])
    with pytest.raises(MetricError, match="no class in common"):
        compare_encoders(encoded(), strangers)


def test_holm_over_the_questions_decides() -> None:
    found = retrieved(encoded(spread=1.2), encoded(spread=1.25, seed=5))
    doubtful = {
        name: replace(change, p_value=0.04 if name == "r_precision" else 0.9) for name, change in found.changes.items()
    }
    assert said(replace(found, changes=doubtful))["grouping"] == "not told apart"
    clear = {
        name: replace(change, p_value=0.001 if name == "r_precision" else 0.9) for name, change in found.changes.items()
    }
    assert said(replace(found, changes=clear))["grouping"] in {"better", "worse"}
    assert math.isclose(answers(replace(found, changes=clear))[0].p_holm, 0.002)
