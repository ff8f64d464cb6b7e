"""A comparison of vectors whose truth is known: its answers of every two, and which one to take."""

from __future__ import annotations

import pytest
import torch

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.workflows.comparison import Comparison

COLUMNS = ["first", "second", "question", "answer", "size", "ci_low", "ci_high", "p_holm"]


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat_interleave(40)
    noise = torch.randn(160, 8, generator=draw)
    tight, loose = (EmbeddingSet(features=torch.eye(8)[labels] + s * noise, labels=labels) for s in (0.2, 0.7))
    return repdiag.compare({"tight": tight, "loose": loose}, metrics=["precision_at_1", "r_precision"])


def test_the_first_is_held_against_the_second_with_size_and_doubt(comparison: Comparison) -> None:
    pairs = comparison.pairs
    assert list(pairs.columns[:8]) == COLUMNS
    answers = dict(zip(pairs["question"], pairs["answer"], strict=True))
    assert answers["grouping"] == "better"
    row = pairs[pairs["question"] == "grouping"].iloc[0]
    assert 0.0 < row["ci_low"] < row["size"] < row["ci_high"]
    assert row["p_holm"] < 0.05
    assert (comparison.folder / "pairs.csv").is_file()
    assert comparison.paired is not None
    (said,) = comparison.paired.sentences()
    assert said.startswith("tight against loose: ")
    assert "classes grouped better" in said


def test_it_says_what_became_of_neighbours(comparison: Comparison) -> None:
    assert comparison.drift is not None
    (row,) = comparison.drift.to_dict(orient="records")
    assert (row["old"], row["new"], row["verdict"]) == ("tight", "loose", "changed")
    assert (comparison.folder / "drift.csv").is_file()


def test_the_ranking_gives_the_chance_to_be_best(comparison: Comparison) -> None:
    ranking = comparison.ranking()
    assert {"checkpoint", "rank", "p_best", "by", "parameters", "width", "gflops", "ms_per_image"} <= set(
        ranking.columns
    )
    first = ranking[(ranking["by"] == "logme") & (ranking["rank"] == 1)].iloc[0]
    assert first["checkpoint"] == "tight"
    assert first["p_best"] > 0.9
    assert "tight" in ranking.attrs["summary"]
