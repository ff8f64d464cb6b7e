"""`figures`, `report` and `export` work on whatever `analyze --embeddings` left, with and without labels and views."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from repdiag.cli.analyze import analyze
from repdiag.cli.export import export
from repdiag.cli.figures import figures
from repdiag.cli.report import report
from repdiag.core.errors import StoreError
from repdiag.core.metric_table import MetricTable
from repdiag.core.numbers import show_value
from repdiag.plots.instance_discrimination_bars import instance_discrimination_bars
from repdiag.results.frames.judged_split import judged_splits
from repdiag.results.frames.table_frames import checkpoint_comparison
from repdiag.results.frames.table_frames import instance_discrimination_bars as bars_of
from repdiag.results.headlines import HEADLINES

DRAWN = np.random.default_rng(0)
LABELS = np.repeat(np.arange(3), 8)
ROWS = (DRAWN.normal(size=(3, 5))[LABELS] + 0.5 * DRAWN.normal(size=(24, 5))).astype(np.float32)
KINDS = {
    "plain": {"features": ROWS},
    "one class": {"features": ROWS, "labels": 0 * LABELS},
    "with views": {"features": ROWS, "labels": LABELS, "views": ROWS[None] + np.float32(0.1)},
}


@pytest.fixture(scope="module", params=KINDS)
def analyzed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an analysis of vectors of one kind."""
    folder = tmp_path_factory.mktemp("vectors") / request.param
    folder.mkdir()
    np.savez(folder / "set.npz", **KINDS[request.param])
    analyze(embeddings=folder / "set.npz", out=folder / "found", per_row=True, figures=False, quiet=True)
    return folder / "found"


def test_what_analyze_left_of_vectors_is_drawn_and_put_on_a_page(
    analyzed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = "labels" in KINDS[analyzed.parent.name]
    figures([analyzed], map_method="pca" if labelled else None, as_json=True)
    drawn = {Path(path).stem for path in json.loads(capsys.readouterr().out)["figures"]}
    assert drawn >= {"checkpoint_comparison"} | ({"embedding_map"} if labelled else set())
    report(analyzed, map_method="none")
    page = (analyzed / "report.html").read_text("utf-8")
    table = MetricTable.from_frame(pd.read_parquet(analyzed / "metrics.parquet"))
    shown = checkpoint_comparison(table).dropna(subset=["value"])
    assert {"uniformity", "rankme"} <= set(shown["metric"])
    percent = {headline.metric: headline.percent for headline in HEADLINES}
    for metric, value in zip(shown["metric"], shown["value"], strict=True):
        assert show_value(value, percent=percent[metric]) in page


def test_a_map_of_rows_without_labels_is_refused(analyzed: Path) -> None:
    if "labels" not in KINDS[analyzed.parent.name]:
        with pytest.raises(StoreError, match="no labels to colour a map by"):
            figures([analyzed], map_method="pca")


def test_vectors_of_an_analysis_are_exported(analyzed: Path) -> None:
    export(analyzed, to="knn-graph")
    graph = scipy.sparse.load_npz(analyzed / "export" / "set-val.npz")
    assert graph.shape == (24, 24)


def test_parts_by_class_and_row_have_their_columns_even_where_there_are_none(analyzed: Path) -> None:
    where = {"checkpoint", "dataset", "split", "space", "metric", "version", "params", "value", "class_name"}
    assert set(pd.read_parquet(analyzed / "per_class.parquet")) == where | {"n"}
    assert set(pd.read_parquet(analyzed / "per_row.parquet")) == where | {"row_id"}


def test_bars_of_vectors_of_an_unnamed_split_show_their_values(tmp_path: Path) -> None:
    from repdiag import evaluate
    from repdiag.core.embedding_set import EmbeddingSet

    found = EmbeddingSet(features=ROWS, labels=LABELS, views=KINDS["with views"]["views"])
    table = evaluate(found, ["instance_discrimination_accuracy"])
    frame = bars_of(table)
    assert set(frame["split"]) == {"unknown"}
    (axis,) = instance_discrimination_bars(frame).axes
    heights = [bar.get_height() for bar in axis.patches]
    assert heights == pytest.approx(frame.sort_values("k")["value"].tolist())
    assert "n/a" not in {text.get_text() for text in axis.texts}


@pytest.mark.parametrize(
    ("splits", "judged"),
    [(["train", "val"], "val"), (["train", "test"], "test"), (["train"], "train"), (["", "a"], "")],
)
def test_the_judged_split_is_the_one_that_was_not_trained_on(splits: list[str], judged: str) -> None:
    from repdiag.core.metric_table import MetricRow

    where = {"checkpoint": "a", "dataset": "d", "space": "features", "metric": "rankme", "version": 1, "params": {}}
    rows = tuple(MetricRow(**where, split=split, value=1.0, n=3) for split in splits)
    assert judged_splits(MetricTable(rows)) == {"a": judged}
