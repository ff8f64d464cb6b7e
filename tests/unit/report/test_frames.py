"""From a metric table to the frames of the figures: the right rows, in the right columns, drawable."""

from __future__ import annotations

from importlib import import_module

import pytest
from matplotlib.figure import Figure
from stored_runs import UNTRAINED, metric_rows

from repdiag.core.metric_table import MetricTable
from repdiag.metrics.inference.rank_correlation import rank_correlation
from repdiag.results.frames import table_frames as frames

NAMES = (
    "instance_discrimination_bars",
    "alignment_uniformity_plane",
    "over_cluster_curve",
    "checkpoint_comparison",
    "scatter_against_accuracy",
)


@pytest.fixture
def table() -> MetricTable:
    rows = metric_rows("small", quality=0.5) + metric_rows("large", quality=0.9)
    return MetricTable(tuple(rows + metric_rows("small" + UNTRAINED, quality=0.1, role="untrained")))


@pytest.mark.parametrize("name", NAMES)
def test_a_frame_has_the_columns_of_its_figure_and_is_drawn(name: str, table: MetricTable) -> None:
    module = import_module(f"repdiag.plots.{name}")
    frame = getattr(frames, name)(table)
    assert set(module.COLUMNS) <= set(frame.columns)
    assert isinstance(getattr(module, name)(frame), Figure)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_without_such_rows_gives_an_empty_frame(name: str, table: MetricTable) -> None:
    frame = getattr(frames, name)(table.where(metric="contrast_accuracy"))
    assert frame.empty
    assert set(import_module(f"repdiag.plots.{name}").COLUMNS) <= set(frame.columns)


def test_bars_hold_both_splits_every_k_and_the_gap(table: MetricTable) -> None:
    frame = frames.instance_discrimination_bars(table.where(checkpoint="small"))
    assert sorted(zip(frame["split"], frame["k"], strict=True)) == [
        (s, k) for s in ("train", "val") for k in range(1, 6)
    ]
    assert set(frame["gap"]) == {0.03}


def test_the_plane_takes_the_asked_pair_once_with_its_accuracy(table: MetricTable) -> None:
    frame = frames.alignment_uniformity_plane(table.where(checkpoint="large"))
    assert list(frame["split"]) == ["train", "val"]
    assert frame["alignment"].tolist() == pytest.approx([0.35, 0.35])
    assert frame["accuracy"].tolist() == pytest.approx([0.83, 0.83])
    other = frames.alignment_uniformity_plane(table.where(checkpoint="large"), pair="view-view")
    assert other["alignment"].tolist() == pytest.approx([0.45, 0.45])


def test_the_curve_reads_clusters_per_class_and_spread_from_the_rows(table: MetricTable) -> None:
    frame = frames.over_cluster_curve(table.where(checkpoint="small"), metrics=["ami"])
    assert frame["ratio"].tolist() == [0.5, 1.0, 2.0, 4.0]
    assert (frame["high"] - frame["low"]).tolist() == pytest.approx([0.02] * 4)
    assert set(frame["granularity"]) == {4.0}


def test_the_headline_of_a_curve_is_its_value_at_one_cluster_a_class(table: MetricTable) -> None:
    frame = frames.checkpoint_comparison(table).set_index(["metric", "checkpoint"])
    assert frame.loc[("ami", "small"), "value"] == pytest.approx(0.5 * 0.6)
    assert frame.loc[("pretext_gap", "small"), "direction"] == "zero"


def test_rank_correlation_of_a_known_order() -> None:
    # One swap of neighbours among five: rho = 1 - 6 * 2 / (5 * 24) = 0.9.
    found = rank_correlation([1.0, 2.0, 3.0, 5.0, 4.0], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert found is not None
    assert found[0] == pytest.approx(0.9)
    assert found[1] is not None
    assert found[2] is not None
    assert found[1] < 0.2  # five encoders say little, and the interval says so
    assert 0.9 < found[2] < 1.0


def test_rank_correlation_says_when_it_cannot() -> None:
    assert rank_correlation([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]) is None
    assert rank_correlation([1.0] * 6, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) is None
    assert rank_correlation([1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 4.0, 3.0, 2.0, 1.0]) == (-1.0, None, None)
