"""A tenth of the work, and the rows that a precision takes: what is left out is said, intervals say what it costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

import repdiag
from repdiag.cli.app import app
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import UsageError
from repdiag.diagnosis.sampled_rows import open_where_sampled
from repdiag.workflows import row_sample
from repdiag.workflows.options import AnalysisOptions
from repdiag.workflows.row_needs import HALF_WIDTHS, pilot_needs
from repdiag.workflows.row_sample import Effort, sample_of, stratified_rows
from repdiag.workflows.vectors import evaluate_vectors


def rows_of(classes: int, each: int, *, noise: float, dims: int = 12, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(classes * each) % classes
    return draw.standard_normal((classes, dims))[labels] + noise * draw.standard_normal((len(labels), dims)), labels


def test_a_sample_holds_the_same_share_of_every_class_and_smaller_ones_are_part_of_larger_ones() -> None:
    labels = np.repeat([0, 1, 2, 3], [400, 200, 40, 3])
    found = EmbeddingSet(features=np.zeros((643, 2)), labels=labels)
    small, large = (stratified_rows(found, rows, seed=5) for rows in (64, 321))
    assert small is not None
    assert large is not None
    assert np.bincount(labels[small]).tolist() == [40, 20, 4, 2]
    assert np.bincount(labels[large]).tolist() == [200, 100, 20, 2]
    assert set(small) <= set(large)
    assert stratified_rows(found, 643, seed=5) is None
    assert not np.array_equal(small, stratified_rows(found, 64, seed=6))


def test_rows_that_were_drawn_together_come_together() -> None:
    groups = np.arange(300) // 3
    found = EmbeddingSet(features=np.zeros((300, 2)), labels=np.arange(300) // 150, groups=groups)
    chosen = stratified_rows(found, 60, seed=0)
    assert chosen is not None
    assert np.bincount(groups[chosen], minlength=100).tolist().count(3) == 20
    assert len(chosen) == 60


def test_a_quick_analysis_repeats_less_says_so_and_holds_the_value_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(row_sample, "QUICK_ROWS", 300)
    monkeypatch.setattr(row_sample, "QUICK_OF_CLASS", 1)
    features, labels = rows_of(6, 100, noise=1.2)
    names = ["r_precision", "ami", "granularity"]
    whole, quick = (repdiag.analyze(features, labels=labels, metrics=names, quick=each) for each in (False, True))
    assert {row.n for row in quick.table} == {300}
    by_clusters = [
        {row.params.get("clusters"): row for row in one.table if row.metric == "ami"} for one in (whole, quick)
    ]
    assert sorted(by_clusters[1]) == [3, 6, 12, 24]
    one = by_clusters[1][6]
    assert (one.params["seeds"], one.params["restarts"], one.extra["seeds"]) == (1, 1, 1)
    assert by_clusters[0][6].params["seeds"] == 3
    pair = [next(row for row in found.table if row.metric == "r_precision") for found in (whole, quick)]
    assert pair[1].ci_low < pair[0].value < pair[1].ci_high
    assert pair[1].ci_high - pair[1].ci_low > 1.2 * (pair[0].ci_high - pair[0].ci_low)
    said = " ".join(quick.notes)
    assert "300 of 600 rows are evaluated, the same share of every class" in said
    assert "about 1.4 times as wide" in said
    assert quick.options["quick"] is True
    assert not any("--quick" in note for note in whole.notes)


def test_a_precision_takes_the_rows_that_reach_it_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "PILOT_ROWS", 200)
    features, labels = rows_of(4, 400, noise=1.4)
    wanted = 0.06
    table, notes = evaluate_vectors(features, labels=labels, metrics=["precision_at_1"], precision=wanted)
    row = next(iter(table))
    assert 200 < row.n < 1600
    assert 0.6 * wanted < (row.ci_high - row.ci_low) / 2.0 <= wanted
    said = " ".join(notes)
    assert f"{row.n:,} of 1,600 rows" in said
    assert "half-widths: precision_at_1" in said
    assert "all within the requested width" in said
    few = EmbeddingSet(features=features[:300], labels=labels[:300])
    alone = sample_of([few], Effort(precision=0.001))
    assert alone.rows is None
    assert "rows would reach it, which are not there; all 300 rows are evaluated" in alone.notes[0]


def test_several_sets_are_cut_to_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "QUICK_ROWS", 100)
    features, labels = rows_of(2, 60, noise=1.0, dims=4)
    names = ["r_precision"]
    pair = {"one": features, "two": features + 0.0}
    found = repdiag.compare(pair, labels=labels, metrics=names, quick=True)
    values = [row.value for row in found.table if row.metric == "r_precision"]
    assert values[0] == values[1]
    assert {row.n for row in found.table if row.metric == "r_precision"} == {100}
    assert sum("--quick" in note for note in found.notes) == 2


def test_a_sample_does_not_clear_classes_that_all_rows_might_split() -> None:
    """One tight heap a class: not over-clustered by all rows; of a few of them it stays open, and says why."""
    features, labels = rows_of(3, 120, noise=0.3)
    judged = repdiag.diagnose(features, labels=labels)
    assert judged.over_clustering.verdict == "not over-clustered"
    opened = open_where_sampled(judged, of_class=48.0, there=120.0).over_clustering
    assert opened.verdict == "inconclusive"
    assert opened.summary.startswith("48 of 120 rows of a class were measured: too few")
    assert open_where_sampled(judged, of_class=120.0, there=120.0) is judged
    assert open_where_sampled(judged, of_class=300.0, there=5000.0) is judged


def test_two_answers_and_no_precision_are_refused() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        Effort(quick=True, precision=0.01)
    for wrong in (0.0, 0.7):
        with pytest.raises(UsageError, match="between 0 and"):
            AnalysisOptions(precision=wrong)
    bare = typer.Typer()  # without the root's callback, whose context is of another class where types are checked
    bare.registered_commands = app.registered_commands
    done = CliRunner().invoke(bare, ["evaluate", "x.npy", "--quick", "--precision", "0.01"])
    assert isinstance(done.exception, UsageError)


def test_a_precision_of_images_is_a_number_of_rows() -> None:
    """Hits of a half vary by a quarter: (1.96 / .01)^2 / 4 rows at most, two degrees of freedom aside."""
    features, labels = rows_of(2, 400, noise=2.0, dims=2)
    needs = pilot_needs(EmbeddingSet(features=features, labels=torch.from_numpy(labels)), None, 0.01)
    ((name, rows),) = needs.items()
    assert name == f"{HALF_WIDTHS} 0.01"
    assert 4802 < rows <= 9604 * 800 / 798 + 1
