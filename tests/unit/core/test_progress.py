"""Stages: what is shown to whom, and that the time left is that of the work left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

import repdiag
from repdiag.core.progress import Tick, counted, listening, stage
from repdiag.workflows.speaking import progress_text


class Heard:
    """Keeps every stage's name and ticks."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float, float]] = []
        self.open: list[str] = []

    @contextmanager
    def counting(self, what: str) -> Iterator[Tick]:
        self.open.append(what)
        yield lambda done, total: self.lines.append((what, done, total))
        self.open.remove(what)


def test_a_stage_is_told_to_who_listens_and_to_nobody_else() -> None:
    heard = Heard()
    with stage("before") as tick:
        tick(1, 2)
    with listening(heard.counting), stage("tiles of pairs") as tick:
        tick(1, 2)
    with stage("after") as tick:
        tick(1, 2)
    assert heard.lines == [("tiles of pairs", 1, 2)]
    assert heard.open == []


def test_items_are_counted_and_weighed() -> None:
    heard = Heard()
    with listening(heard.counting):
        assert list(counted("plain", "ab")) == ["a", "b"]
        assert list(counted("weighed", [2, 6], weights=[2, 6])) == [2, 6]
    assert heard.lines == [("plain", 1, 2), ("plain", 2, 2), ("weighed", 2.0, 8.0), ("weighed", 8.0, 8.0)]
    assert isinstance(heard.lines[-1][1], float)  # a share of the work, not a number of things


def test_a_stage_within_a_stage_moves_the_outer_one_and_never_back() -> None:
    heard = Heard()
    with listening(heard.counting):
        for _ in counted("intervals", ["first", "second"]):
            for _ in counted("half-samples", range(2)):
                pass
            with stage("tiles of pairs") as tick:  # after the half-samples, within the same step
                tick(1, 4)
    assert {what for what, *_ in heard.lines} == {"intervals"}
    shown = [done / total for _, done, total in heard.lines]
    assert shown == sorted(shown)
    assert shown[0] == 0.25
    assert shown[-1] == 1.0


def test_stopping_in_the_middle_leaves_no_stage_behind() -> None:
    heard = Heard()
    with listening(heard.counting):
        for _ in counted("left", range(3)):
            break
        with stage("next") as tick:
            tick(1, 1)
    assert ("next", 1, 1) in heard.lines


def test_the_time_left_is_said_in_the_units_of_the_work() -> None:
    assert progress_text("clusterings", 10.0, 40.0, seconds=10.0) == "clusterings: 25 %, 30 s left"
    assert progress_text("train", 500, 1000, seconds=5.0) == "train: 500 of 1,000, 100/s, 5 s left"
    assert progress_text("tiles", 1, 61, seconds=10.0) == "tiles: 2 %, 10 min left"
    assert progress_text("tiles", 0, 61, seconds=10.0) == "tiles: 0 %, time left unknown"


def test_metrics_that_take_long_name_their_stage_and_count_its_classes() -> None:
    heard = Heard()
    labels = np.arange(240) % 4
    rows = np.eye(8)[labels] + 0.1 * np.random.default_rng(0).normal(size=(240, 8))
    with listening(heard.counting):
        repdiag.evaluate(rows, ["islands", "sub_clusters"], labels=labels, intervals=False)
    for what in ("islands, class by class", "pieces, class by class"):
        assert [line for line in heard.lines if line[0] == what] == [(what, done, 4) for done in range(1, 5)]


def test_a_clustering_is_weighed_once_for_all_metrics_that_share_it() -> None:
    heard = Heard()
    labels = np.arange(240) % 4
    rows = np.eye(8)[labels] + 0.1 * np.random.default_rng(0).normal(size=(240, 8))
    with listening(heard.counting):
        repdiag.evaluate(rows, ["ami", "nmi", "ari"], labels=labels, intervals=False)
    shown = [done / total for what, done, total in heard.lines if what == "clusterings"]
    assert len(shown) > 12
    assert len(shown) % 3 == 0
    assert shown[len(shown) // 3 - 1] > 0.97
    assert shown[-1] == pytest.approx(1.0)
