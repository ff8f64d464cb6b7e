"""`MetricTable` is tidy, survives a round trip, and refuses what is not a number."""

import io
import math

import pandas as pd
import pytest

from repdiag.core.errors import MetricError, UsageError
from repdiag.core.metric_table import COLUMNS, MetricRow, MetricTable


def row(**changes):
    base = {
        "checkpoint": "a",
        "dataset": "digits",
        "split": "val",
        "space": "features",
        "metric": "uniformity",
        "version": 1,
        "params": {"t": 2.0},
        "value": -2.5,
        "n": 10,
    }
    return MetricRow(**(base | changes))


def test_filters_on_columns_and_params():
    table = MetricTable((row(), row(params={"t": 3.0}, value=-3.0)))
    assert table.value(metric="uniformity", t=3.0) == -3.0
    assert len(table.where(t=2.0)) == 1


def test_one_says_how_many_matched():
    with pytest.raises(MetricError, match="2 rows"):
        MetricTable((row(), row())).one(metric="uniformity")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(value):
    with pytest.raises(MetricError, match="not finite"):
        row(value=value)


def test_a_null_needs_a_reason():
    with pytest.raises(MetricError, match="no reason"):
        row(value=None)
    assert row(value=None, reason="one class").reason == "one class"


def test_round_trip_through_csv_and_parquet(tmp_path):
    table = MetricTable((row(extra={"ties": 3}), row(value=None, reason="no views", epoch=4, ci_low=None)))
    frame = table.to_frame()
    assert tuple(frame.columns) == COLUMNS
    frame.to_parquet(tmp_path / "t.parquet")
    assert MetricTable.from_frame(pd.read_parquet(tmp_path / "t.parquet")) == table
    assert MetricTable.from_frame(pd.read_csv(io.StringIO(frame.to_csv(index=False)))) == table


def test_an_unknown_column_gets_the_nearest():
    with pytest.raises(UsageError, match="checkpoint"):
        MetricTable((row(),)).names("chekpoint")


def test_a_foreign_frame_is_refused():
    with pytest.raises(MetricError, match="not a metric table"):
        MetricTable.from_frame(pd.DataFrame({"value": [1.0]}))
