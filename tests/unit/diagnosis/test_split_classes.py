"""Held-out islands answer about over-clustering where classes have the rows, and gaps of labels about overfitting."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import repdiag
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.metric_table import MetricTable
from repdiag.diagnosis.diagnose import judge
from repdiag.diagnosis.verdict import Diagnosis

PER_CLASS = 90


def space(*, joined: bool = False, seed: int = 0) -> EmbeddingSet:
    """Six tight groups; `joined` gives every two of them one label."""
    draw = torch.Generator().manual_seed(seed)
    groups = torch.arange(6).repeat_interleave(PER_CLASS)
    rows = torch.eye(12)[groups] + 0.15 * torch.randn(len(groups), 12, generator=draw)
    names = ("pets", "tools", "food") if joined else tuple("abcdef")
    return EmbeddingSet(features=rows, labels=groups // 2 if joined else groups, class_names=names)


def test_labels_that_join_unlike_images_are_split_by_name() -> None:
    found = repdiag.diagnose(space(joined=True)).over_clustering
    assert found.verdict == "over-clustered"
    assert dict(found.split_classes) == {"pets": 2, "tools": 2, "food": 2}
    assert "3 of 3 classes fall into separate groups" in found.summary
    assert found.severity == "severe"


def test_classes_of_one_piece_are_each_one_group() -> None:
    found = repdiag.diagnose(space()).over_clustering
    assert (found.verdict, found.severity, dict(found.split_classes)) == ("not over-clustered", "none", {})
    assert "Each of the 6 classes forms one group." in found.summary


def test_a_single_class_of_two_kinds_is_named_and_no_fault_of_the_space() -> None:
    draw = torch.Generator().manual_seed(0)
    groups = torch.arange(8).repeat_interleave(60)
    rows = torch.eye(16)[groups] + 0.15 * torch.randn(len(groups), 16, generator=draw)
    joined = EmbeddingSet(features=rows, labels=(groups - 1).clamp_min(0), class_names=tuple("abcdefg"))
    found = repdiag.diagnose(joined)
    assert (found.over_clustering.verdict, found.over_clustering.severity) == ("not over-clustered", "mild")
    assert dict(found.over_clustering.split_classes) == {"a": 2}
    assert next(item.code for item in found.findings) == "RD104"
    assert "not over-clustered, but a falls into separate groups" in found.summary
    strict = repdiag.diagnose(joined, thresholds={"split_mild": 0.0}).over_clustering
    assert strict.verdict == "over-clustered"


def test_merged_classes_are_coarser_than_the_labels() -> None:
    """Each group carries two labels at random: half as many clusters agree better with them."""
    whole = space()
    assert whole.labels is not None
    coin = torch.arange(len(whole)) % 2
    found = repdiag.diagnose(replace(whole, labels=2 * whole.labels + coin, class_names=None)).over_clustering
    assert found.verdict == "under-clustered"


@pytest.mark.parametrize(
    ("gap", "verdict", "kinds"), [(0.36, "overfitting", ("labels",)), (0.06, "no overfitting", ())]
)
def test_a_memoriser_overfits_the_labels_whatever_the_pretext_task_says(row, gap, verdict, kinds) -> None:
    task = {"pair": "original-view", "k": 1}
    table = MetricTable(
        (row("pretext_gap", -0.05, half=0.01, **task), row("label_gap", gap, half=0.02, of="precision_at_1"))
    )
    found = judge(table)
    assert (found.overfitting.verdict, found.overfitting.kinds) == (verdict, kinds)
    assert Diagnosis.from_dict(found.to_dict()) == found


def test_an_open_gap_says_what_is_excluded_and_how_many_rows_would_decide(row) -> None:
    """Half-width 4 at 500 rows around 1 point: it must fall to 4 points below 5, as it is, so more rows are few."""
    table = MetricTable((row("pretext_gap", 0.02, half=0.04, pair="original-view", k=1, n=360),))
    found = judge(table).overfitting
    assert found.verdict == "inconclusive"
    assert found.severity == "none to marked"
    assert "above 6.0 points is excluded" in found.summary
    assert "about 640 images would settle it" in found.summary  # 360 x (4 / 3)^2
