"""Checkpoints against one another: what differs is found, what does not is not, and Holm counts every test."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from repdiag.core.errors import MetricError
from repdiag.diagnosis.checkpoint_pairs import BY_PARTS, Side, class_changes, paired_tests
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space

CLASSES, PER_CLASS = 8, 40


def rows_of(shares: dict[int, float], *, seed: int, usual: float = 0.7) -> pd.DataFrame:
    """kNN hits of every image; `shares` gives some classes another accuracy."""
    draw = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), PER_CLASS)
    accuracy = np.array([shares.get(label, usual) for label in labels])
    return pd.DataFrame(
        {
            **{"metric": "knn_accuracy", "split": "val", "space": "features"},
            "params": json.dumps({"k": 20, "temperature": 0.07}),
            "class_name": [f"class {label}" for label in labels],
            "row_id": [f"image {number}" for number in range(len(labels))],
            "value": (draw.random(len(labels)) < accuracy).astype(float),
        }
    )


def test_a_class_that_changed_is_named_and_the_others_are_not() -> None:
    found = class_changes({"old": Side(rows=rows_of({}, seed=0)), "new": Side(rows=rows_of({3: 0.0}, seed=0))})
    assert found[found["differs"]]["class_name"].tolist() == ["class 3"]
    changed = found.set_index("class_name").loc["class 3"]
    assert changed["difference"] == pytest.approx(changed["first_value"] - changed["second_value"])
    assert changed["second_value"] == 0.0


def test_equally_good_checkpoints_are_seldom_called_different() -> None:
    """A null pair has any false finding with probability 5 % at most."""
    wrong = 0
    for seed in range(60):
        sides = {name: Side(rows=rows_of({}, seed=7 * seed + at)) for at, name in enumerate("ab")}
        wrong += bool(paired_tests(sides)["differs"].any())
    assert wrong <= 9  # binomial(60, .05) exceeds 9 with probability .0005


def test_every_pair_is_tested_and_the_correction_counts_the_metrics_of_a_pair() -> None:
    sides = {
        name: Side(rows=rows_of(dict.fromkeys(range(8), share), seed=at))
        for at, (name, share) in enumerate({"bad": 0.2, "good": 0.9, "better": 0.95}.items())
    }
    found = paired_tests(sides)
    assert list(zip(found["first"], found["second"], strict=True)) == [
        ("bad", "good"),
        ("bad", "better"),
        ("good", "better"),
    ]
    assert found["differs"].tolist()[:2] == [True, True]
    assert found["p_holm"].tolist() == found["p_value"].tolist()  # one metric a pair
    both = {
        name: Side(rows=pd.concat([side.rows, side.rows.assign(metric="r_precision", params="{}")]))
        for name, side in sides.items()
    }
    assert paired_tests(both)["p_holm"].min() == pytest.approx(2 * found["p_value"].min())


def test_means_over_pairs_are_compared_on_the_same_parts_of_the_rows() -> None:
    recipe = SpaceRecipe(classes=5, per_class=20, dims=16)
    one = draw_space(recipe, seed=0)
    moved = replace(one, features=one.features + 0.2 * torch.randn(one.features.shape, generator=torch.manual_seed(0)))
    nothing = rows_of({}, seed=0).iloc[:0]
    sides = {name: Side(rows=nothing, embeddings=each) for name, each in (("a", one), ("same", one), ("b", moved))}
    found = paired_tests(sides).set_index(["metric", "first", "second"])
    assert set(found.index.get_level_values("metric")) == set(BY_PARTS)
    assert not found.xs(("a", "same"), level=("first", "second"))["differs"].any()
    assert found.loc[("intra_class_distance", "a", "b"), "differs"]
    assert found.loc[("intra_class_distance", "a", "b"), "difference"] < 0


def test_other_rows_are_refused() -> None:
    other = rows_of({}, seed=1).assign(row_id=lambda rows: "another " + rows["row_id"])
    with pytest.raises(MetricError, match="same rows"):
        paired_tests({"a": Side(rows=rows_of({}, seed=0)), "b": Side(rows=other)})
