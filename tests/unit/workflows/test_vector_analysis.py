"""Vectors of which nothing could be said, and groups that do not fit, end in one error before anything is evaluated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repdiag.cli.evaluate import evaluate
from repdiag.core.errors import MetricError, UsageError
from repdiag.workflows.vectors import analyze_vectors

ROWS = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)


def with_nan() -> np.ndarray:
    rows = ROWS.copy()
    rows[[3, 7], 1] = np.nan
    return rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [(ROWS[:0], "empty"), (ROWS[:, :0], "empty"), (with_nan(), r"NaN or infinite values in 2 rows[\s\S]*rows 3, 7")],
)
def test_nothing_is_evaluated_of_vectors_that_are_none(tmp_path: Path, rows: np.ndarray, message: str) -> None:
    np.save(tmp_path / "a.npy", rows)
    with pytest.raises(MetricError, match=message):
        analyze_vectors(tmp_path / "a.npy", None, seed=0)


@pytest.mark.parametrize("names", ["", " , "])
def test_a_list_of_no_metrics_is_no_empty_table(tmp_path: Path, names: str) -> None:
    np.save(tmp_path / "a.npy", ROWS)
    with pytest.raises(UsageError, match="names no metric"):
        evaluate(tmp_path / "a.npy", metrics=names)


@pytest.mark.parametrize(
    ("groups", "message"), [("classes", "needs labels"), ("groups.txt", "one group for every row")]
)
def test_groups_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", ROWS)
    Path("groups.txt").write_text("a\nb\nc\nd\ne\n")
    with pytest.raises(MetricError, match=message):
        analyze_vectors(Path("a.npy"), None, groups=groups, seed=0)


def test_a_sample_of_the_rows_for_clusters_is_said() -> None:
    from repdiag.core.metric_table import MetricRow, MetricTable
    from repdiag.workflows.checks import cluster_sample_note

    where = {"checkpoint": "v", "dataset": "d", "split": "val", "space": "features", "version": 1, "params": {}}

    def table(clusters: int) -> MetricTable:
        known = (("ami", clusters), ("r_precision", 4000))
        return MetricTable(tuple(MetricRow(**where, metric=name, value=0.5, n=n) for name, n in known))

    (line,) = cluster_sample_note(table(1000))
    assert line.startswith("clusters were searched among 1,000 of 4,000 rows")
    assert cluster_sample_note(table(4000)) == ()
