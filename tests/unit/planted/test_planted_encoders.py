"""The planted encoders: what is said to be true of them follows from how they are made."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.planted.answers import absolute, compared
from benchmarks.planted.images import marked, source
from benchmarks.planted.judging import FRESH, Judged, place_of, table
from benchmarks.planted.making import make
from benchmarks.planted.recipes import recipes
from benchmarks.planted.truth import group_share, precision_at_1, r_precision, ridge_accuracy

PLAIN = {
    **{"kind": "healthy", "method": "labels", "cone": 0.0, "scaling": "own", "epochs": 4, "strength": 0.0},
    **{"label_gap": 0.0, "pretext_gap": 0.0, "mean_cosine": 0.5, "group_share": 0.0},
    **{"r_precision": 0.5, "precision_at_1": 0.7, "ridge_probe": 0.8},
}


def right(found, question: str) -> tuple[str, ...]:
    return next(one.right for one in found if one.question == question)


def test_the_set_is_as_large_and_as_mixed_as_it_claims() -> None:
    found = recipes()
    names = [recipe.name for recipe in found]
    assert len(names) == len(set(names)) >= 40
    assert {recipe.backbone for recipe in found} == {"cnn", "resnet", "vit"}
    assert {recipe.data for recipe in found} == {"fashion", "cifar", "digits"}
    assert {"labels", "simclr", "swav", "dino"} <= {recipe.method for recipe in found}
    for recipe in found:
        assert not recipe.sibling or recipe.sibling in names
        assert not recipe.weights_of or names.index(recipe.weights_of) < names.index(recipe.name)


@pytest.mark.parametrize(("gap", "answers"), [(0.01, 1), (0.03, 2), (0.2, 1)])
def test_a_gap_between_none_and_marked_may_be_called_either(gap: float, answers: int) -> None:
    found = right(absolute({**PLAIN, "label_gap": gap}), "overfitting")
    assert len(found) == answers
    assert ("overfitting" in found) == (gap > 0.02)


def test_the_pretext_gap_counts_for_encoders_that_learn_from_views_alone() -> None:
    assert right(absolute({**PLAIN, "pretext_gap": 0.3}), "overfitting") == ("no overfitting",)
    assert right(absolute({**PLAIN, "pretext_gap": 0.3, "method": "simclr"}), "overfitting") == ("overfitting",)


def test_comparisons_follow_the_sign_of_what_was_measured() -> None:
    worse = {**PLAIN, "kind": "memorised labels", "r_precision": 0.3, "precision_at_1": 0.5, "ridge_probe": 0.6}
    found = compared({**worse, "label_gap": 0.4}, PLAIN)
    assert [right(found, name) for name in ("grouping", "accuracy", "overfitting")] == [
        ("worse",),
        ("worse",),
        ("more overfitted",),
    ]
    assert [one.question for one in compared(PLAIN, PLAIN)] == ["over_clustering"]


def test_measures_of_truth_are_right_where_the_answer_is_known() -> None:
    labels = np.random.default_rng(2).permutation(np.arange(80) % 4)
    unit = np.eye(4)[labels] + 1e-3 * np.random.default_rng(0).standard_normal((80, 4))
    assert precision_at_1(unit, labels) == r_precision(unit, labels) == ridge_accuracy(unit, labels) == 1.0
    shuffled = np.random.default_rng(1).permutation(labels)
    assert precision_at_1(unit, shuffled) < 0.5
    halves = np.arange(80) // 4 % 2
    assert group_share(unit + halves[:, None] * np.eye(4)[0], labels, halves) > 0.99
    assert group_share(unit, labels, np.zeros(80)) == 0.0


def test_painted_squares_say_nothing_of_the_class() -> None:
    images = source("digits").train
    painted = marked(images, 4, seed=0)
    assert torch.equal(painted.labels, images.labels)
    assert set(painted.groups.tolist()) == {0, 1, 2, 3}
    changed = (painted.pixels != images.pixels).any(1).any(0)
    assert changed[4:].any() == changed[:, 4:].any() == torch.tensor(False)


def test_verdicts_are_counted_by_kind_and_number_of_rows() -> None:
    one = Judged(
        **{"encoder": "a", "kind": "merged labels", "strength": 5.0, "question": "over_clustering", "rows": 500},
        **{"draw": 0, "clear": True, "verdict": "under-clustered", "outcome": "right"},
    )
    text = table([one, replace(one, draw=1, outcome="wrong"), replace(one, rows=2000, outcome="open")])
    assert "| over-clustering | merged labels, 5 | 1 / 0 / 1 | 0 / 1 / 0 |" in text
    assert "50% / 0% / 50% of 2" in text


def test_an_encoder_is_made_once_and_gone_on_with(tmp_path: Path) -> None:
    recipe = replace(next(one for one in recipes() if one.name == "labels-digits-cnn-0"), epochs=1, only=300)
    record = make(recipe, tmp_path)
    truth = json.loads(record.read_text("utf-8"))
    assert truth["train_rows"] == 300
    assert truth["ridge_probe"] > 0.5
    with np.load(tmp_path / f"{recipe.name}.npz") as stored:
        assert stored["features"].dtype == np.float16
        assert stored["views"].shape == (2, *stored["features"].shape)
        assert set(stored["train_row_ids"]) & set(stored["row_ids"]) == set()
    before = record.stat().st_mtime_ns
    assert make(recipe, tmp_path) == record
    assert record.stat().st_mtime_ns == before, "what is there is not made again"
    with np.load(tmp_path / f"{recipe.name}.npz") as stored:
        first = set(stored["train_row_ids"])
    again = make(replace(recipe, lot=1), tmp_path)
    assert json.loads(again.read_text("utf-8"))["lot"] == 1
    assert place_of(tmp_path) == FRESH
    with np.load(tmp_path / f"{recipe.name}.npz") as stored:
        assert len(first & set(stored["train_row_ids"])) < 0.5 * len(first), "another lot learns from other images"
