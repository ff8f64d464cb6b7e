"""A space beside another encoder's on the same rows: what is said of it, and that it survives the disk."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.diagnosis.comparisons import hold_against
from repdiag.diagnosis.diagnose import judge
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
from repdiag.diagnosis.verdict import Diagnosis

METRICS = ["precision_at_1", "r_precision", "class_distance_ratio"]


@pytest.fixture(scope="module")
def whole() -> EmbeddingSet:
    return draw_space(SpaceRecipe(classes=10, per_class=24, dims=32), seed=1)


@pytest.fixture(scope="module")
def shattered(whole: EmbeddingSet) -> EmbeddingSet:
    """The same rows, every class in islands of six rows that lie anywhere."""
    return replace(
        draw_space(SpaceRecipe(classes=10, per_class=24, dims=32, islands=4), seed=2), provenance=whole.provenance
    )


def _held(space: EmbeddingSet, other: EmbeddingSet) -> Diagnosis:
    return hold_against(judge(repdiag.evaluate(space, METRICS)), space, {"reference large": other}, null=False)


def test_scattered_classes_are_worse_grouped_and_whole_ones_better(
    whole: EmbeddingSet, shattered: EmbeddingSet
) -> None:
    worse, better = _held(shattered, whole).standings[0], _held(whole, shattered).standings[0]
    assert (worse.verdict, better.verdict) == ("worse grouped", "better grouped")
    assert worse.sentence.startswith("Classes are worse grouped than by the reference large: ")
    assert worse.sentence.count("grouped") == 1
    assert re.search(r"R-precision -\d+\.\d points \[-\d+\.\d, -\d+\.\d\]", worse.sentence)
    assert re.search(r"R-precision \+\d+\.\d points \[\+\d+\.\d, \+\d+\.\d\]", better.sentence)


def test_rotated_rows_are_indistinguishable(whole: EmbeddingSet) -> None:
    turn = torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(0))).Q
    found = _held(whole, replace(whole, features=whole.features @ turn))
    assert [standing.verdict for standing in found.standings] == ["indistinguishable"]


def test_better_here_and_worse_there_is_mixed(whole: EmbeddingSet, shattered: EmbeddingSet) -> None:
    # A fourth of the rows lies with a wrong class, against classes in islands: nearest rows are worse, classes whole.
    assert whole.labels is not None
    centres = torch.stack([whole.features[whole.labels == label].mean(0) for label in range(10)])
    tight = 1e-3 * torch.randn(len(whole), 32, generator=torch.Generator().manual_seed(0))
    pulled = centres[whole.labels] + tight
    swapped = pulled.clone()
    few = torch.arange(0, len(whole), 4)
    swapped[few] = centres[(whole.labels[few] + 1) % 10] + tight[few]
    standing = _held(replace(whole, features=swapped), replace(whole, features=shattered.features)).standings[0]
    assert standing.verdict == "mixed"
    assert "better by R-precision" in standing.sentence
    assert "worse by nearest neighbour of the same class" in standing.sentence


def test_a_reference_never_turns_the_verdict(whole: EmbeddingSet, shattered: EmbeddingSet) -> None:
    alone = judge(repdiag.evaluate(whole, METRICS))
    assert _held(whole, shattered).over_clustering.verdict == alone.over_clustering.verdict


def test_a_diagnosis_comes_back_from_json(whole: EmbeddingSet, shattered: EmbeddingSet) -> None:
    found = repdiag.diagnose(whole, reference=shattered)
    stored = json.loads(json.dumps(found.to_dict()))
    again = Diagnosis.from_dict(stored)
    assert again.to_dict() == found.to_dict()
    assert again.standings == found.standings
    assert again.collapse.kinds == found.collapse.kinds
    del stored["standings"]  # as older versions wrote it
    assert Diagnosis.from_dict(stored).standings == ()
