from __future__ import annotations

import json

import pytest

from repdiag.core.errors import MetricError, UsageError
from repdiag.core.metric_table import MetricTable
from repdiag.diagnosis.diagnose import judge


def tables(
    row,
    *,
    train: float = 0.9,
    val: float = 0.9,
    granularity: float = 1.0,
    half: float = 0.2,
    islands: float | None = None,
) -> MetricTable:
    """The least that gives an answer to every question."""
    accuracy = "instance_discrimination_accuracy"
    found = () if islands is None else (row("sub_clusters", islands, extra={"gap": 0.9, "gap_low": 0.8}),)
    return MetricTable(
        (
            row(accuracy, train, split="train", pair="original-view", k=1, half=0.005),
            row(accuracy, val, pair="original-view", k=1, half=0.005),
            row("granularity", granularity, half=half),
            row("ami", 0.8, clusters=40),
            *found,
        )
    )


@pytest.mark.parametrize(
    ("train", "val", "verdict"),
    [
        (0.99, 0.60, "overfitting"),
        (0.90, 0.90, "no overfitting"),
        (0.60, 0.99, "no overfitting"),
        (0.92, 0.90, "no overfitting"),
    ],
)
def test_overfitting_is_a_gap_that_exceeds_two_points_and_none_one_below_five(row, train, val, verdict) -> None:
    assert judge(tables(row, train=train, val=val)).overfitting.verdict == verdict


def test_the_interval_of_the_gap_is_that_of_the_metric(row) -> None:
    """One number has one interval: what tables show is what is judged, whatever the accuracies' intervals are."""
    gap = {"pair": "original-view", "k": 1}
    table = tables(row, train=0.95, val=0.90)
    finding = judge(table + MetricTable((row("pretext_gap", 0.05, half=0.04, **gap),))).overfitting
    shown = finding.evidence[0]
    assert (shown.value, shown.ci_low, shown.ci_high) == (0.05, pytest.approx(0.01), pytest.approx(0.09))
    assert finding.verdict == "inconclusive"
    assert "[+1.0, +9.0]" in finding.summary
    assert judge(table).overfitting.verdict == "overfitting"  # what the accuracies alone would say


def test_a_gap_is_judged_without_the_accuracies_behind_it(row) -> None:
    table = MetricTable((row("pretext_gap", 0.3, half=0.04, pair="original-view", k=1),))
    assert judge(table).overfitting.verdict == "overfitting"


def test_a_gap_without_an_interval_leaves_the_word_to_the_accuracies(row) -> None:
    bare = MetricTable((row("pretext_gap", 0.05, half=None, pair="original-view", k=1),))
    found = judge(tables(row, train=0.95, val=0.90) + bare).overfitting
    assert found.evidence[0].ci_method == "square-and-add of two independent intervals"
    assert found.verdict == "overfitting"
    assert judge(bare).overfitting.verdict == "inconclusive"


def test_train_held_against_itself_is_no_gap(row) -> None:
    table = MetricTable((row("pretext_gap", 0.0, half=0.001, split="train", pair="original-view", k=1),))
    assert judge(table).overfitting.verdict == "inconclusive"


def test_the_limit_of_overfitting_can_be_moved(row) -> None:
    table = tables(row, train=0.95, val=0.90)
    assert judge(table).overfitting.verdict == "overfitting"
    assert judge(table, thresholds={"overfitting_gap": 0.1}).overfitting.verdict == "no overfitting"


def test_galleries_of_unlike_size_are_not_compared(row) -> None:
    accuracy = "instance_discrimination_accuracy"
    table = MetricTable(
        (
            row(accuracy, 0.99, split="train", pair="original-view", k=1, n=1000),
            row(accuracy, 0.50, pair="original-view", k=1, n=500),
        )
    )
    finding = judge(table).overfitting
    assert finding.verdict == "inconclusive"
    assert "1000 train, 500 val" in finding.summary


@pytest.mark.parametrize(
    ("granularity", "half", "islands", "verdict"),
    [
        (1.0, 0.2, None, "not over-clustered"),
        (0.4, 0.1, None, "under-clustered"),
        (1.6, 0.4, None, "inconclusive"),
        (0.7, 0.2, None, "inconclusive"),
        (4.0, 0.5, 4.0, "over-clustered"),
        (1.0, 0.2, 4.0, "over-clustered"),
    ],
)
def test_granularity_and_islands_answer_where_they_lie_on_one_side(row, granularity, half, islands, verdict) -> None:
    table = tables(row, granularity=granularity, half=half, islands=islands)
    assert judge(table).over_clustering.verdict == verdict


@pytest.mark.parametrize(
    ("islands", "said"), [(None, "were not measured"), (1.0, "no class falls into"), (1.505, "it is open")]
)
def test_without_islands_no_granularity_is_over_clustering(row, islands, said) -> None:
    """Sectors of one cloud: ever more clusters agree ever better, and nothing is in pieces."""
    finding = judge(tables(row, granularity=10.0, islands=islands)).over_clustering
    assert finding.verdict == "inconclusive"
    assert said in finding.summary


@pytest.mark.parametrize(("nearest", "verdict"), [(0.99, "not over-clustered"), (0.9, "inconclusive")])
def test_classes_whose_rows_have_no_strangers_beside_them_share_no_island(row, nearest, verdict) -> None:
    """Classes of unequal size: agreement peaks below one cluster a class, though each is in one piece of its own."""
    near = MetricTable((row("precision_at_1", nearest), row("r_precision", 0.9)))
    table = tables(row, granularity=0.8, half=0.25, islands=1.0) + near
    assert judge(table).over_clustering.verdict == verdict


def test_what_was_not_measured_is_inconclusive_and_named(row) -> None:
    diagnosis = judge(MetricTable((row("alignment", 0.2, pair="original-view"),)))
    assert [finding.verdict for _, finding in diagnosis] == ["inconclusive"] * 3
    assert "granularity was not measured" in diagnosis.over_clustering.summary
    assert "no train rows" in diagnosis.overfitting.summary


def test_a_value_that_could_not_be_computed_gives_its_reason(row) -> None:
    finding = judge(MetricTable((row("granularity", None, reason="one class only"),))).over_clustering
    assert finding.verdict == "inconclusive"
    assert "one class only" in finding.summary


def test_neighbours_in_one_class_speak_for_nothing(row) -> None:
    undefined = row("granularity", None, reason="needs rows of two classes")
    table = MetricTable((undefined, row("precision_at_1", 1.0), row("r_precision", 1.0)))
    assert not any("of the R nearest" in each.sentence for each in judge(table).over_clustering.evidence)


def test_two_checkpoints_are_not_judged_as_one(row) -> None:
    table = tables(row) + MetricTable((row("granularity", 2.0, checkpoint="b.pt"),))
    with pytest.raises(MetricError, match=r"a\.pt, b\.pt"):
        judge(table)


def test_an_unknown_space_names_those_there(row) -> None:
    with pytest.raises(MetricError, match="'features'"):
        judge(tables(row), space="projections")


def test_a_misspelt_threshold_gets_the_nearest_name(row) -> None:
    with pytest.raises(UsageError, match="overfitting_gap"):
        judge(tables(row), thresholds={"overfiting_gap": 0.1})


def test_a_diagnosis_is_plain_json(row) -> None:
    values = json.loads(
        json.dumps(judge(tables(row, train=0.99, val=0.6, granularity=4.0, islands=4.0)).to_dict(), allow_nan=False)
    )
    assert values["overfitting"]["verdict"] == "overfitting"
    assert values["faults"] == ["over-clustered", "overfitting"]
    assert values["overfitting"]["thresholds"] == {
        "overfitting_gap": 0.02,
        "overfitting_marked": 0.05,
        "overfitting_severe": 0.1,
    }
    assert {"metric", "value", "ci_low", "ci_high", "threshold", "reading", "sentence"} <= set(
        values["overfitting"]["evidence"][0]
    )


@pytest.mark.parametrize(
    ("granularity", "cosine", "said"), [(4.0, 0.99999, True), (4.0, 0.2, False), (1.0, 0.99999, False)]
)
def test_islands_in_a_collapsed_space_are_to_be_read_with_the_collapse(row, granularity, cosine, said) -> None:
    found = judge(
        tables(row, granularity=granularity, islands=granularity)
        + MetricTable((row("mean_cosine", cosine, half=1e-6),))
    )
    assert found.over_clustering.verdict == ("over-clustered" if granularity > 1 else "not over-clustered")
    assert found.over_clustering.summary.endswith("Read this together with the complete collapse.") == said
