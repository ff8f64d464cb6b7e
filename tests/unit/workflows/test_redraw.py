"""`repdiag figures RUN --map`: the map anew from the stored embeddings, by another method, and named after it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import StoreError, UsageError
from repdiag.core.files import write_json
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.core.provenance import Provenance
from repdiag.embeddings.store import save_embedding_set
from repdiag.results.reading import read_frame, results_in
from repdiag.workflows.figures import in_order
from repdiag.workflows.redraw import maps_anew, stored_frames


def stored_run(folder: Path, *, split: str) -> Path:
    rows, draw = 24, torch.Generator().manual_seed(0)
    features = torch.randn(rows, 8, generator=draw)
    found = EmbeddingSet(
        features=features,
        views=features[None] + 0.1,
        labels=torch.arange(rows) % 3,
        provenance=Provenance(dataset="digits", split=split),
    )
    save_embedding_set(found, folder / "embeddings" / split)
    common = {"checkpoint": "small", "dataset": "digits", "split": "val", "space": "features", "metric": "uniformity"}
    row = MetricRow(**common, version=1, params={}, value=-1.0, n=rows, seed=0)
    MetricTable((row,)).to_frame().to_parquet(folder / "metrics.parquet", index=False)
    write_json(folder / "run.json", {"kind": "analyze"})
    return folder


def test_originals_and_views_get_new_places_and_the_method_is_said(tmp_path: Path) -> None:
    frame = maps_anew([stored_run(tmp_path, split="val")], "tsne")
    assert frame.groupby("view").size().to_dict() == {"original": 24, "view 1": 24}
    assert set(frame["method"]) == {"t-SNE"}
    assert frame[["x", "y"]].notna().all(axis=None)


def test_a_checkpoint_keeps_its_place_and_so_its_colour_in_every_figure() -> None:
    stored = pd.DataFrame({"checkpoint": ["resnet18", "resnet18", "resnet20", "other"], "x": [1, 2, 3, 4]})
    assert in_order(stored, ["resnet20", "resnet18"])["x"].tolist() == [3, 1, 2, 4]


def test_a_class_called_nan_and_a_checkpoint_called_1_come_back_as_they_were(tmp_path: Path) -> None:
    written = pd.DataFrame({"checkpoint": ["1", "2.50"], "class_name": ["nan", "NA"], "x": [0.5, float("nan")]})
    written.to_csv(tmp_path / "figure.csv", index=False)
    found = read_frame(tmp_path / "figure.csv")
    assert found["checkpoint"].tolist() == ["1", "2.50"]
    assert found["class_name"].tolist() == ["nan", "NA"]
    assert found["x"].isna().tolist() == [False, True]


def test_a_training_run_stands_for_its_analysis_and_a_manifest_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "run" / "analysis" / "last").mkdir(parents=True)
    assert results_in(tmp_path / "run") == tmp_path / "run"  # not analyzed: the error names what was given
    inside = stored_run(tmp_path / "run" / "analysis" / "last", split="val")
    assert results_in(tmp_path / "run") == results_in(inside) == inside
    with pytest.raises(UsageError, match="is a manifest and has no results"):
        results_in(tmp_path / "all.yaml")


def test_a_run_without_embeddings_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no embeddings of small on val"):
        maps_anew([stored_run(tmp_path, split="train")], "pca")


def test_trainings_are_drawn_together_before_any_is_analyzed(tmp_path: Path) -> None:
    for name, loss in (("small", 3.0), ("large", 2.0)):
        folder = tmp_path / name
        (folder / "monitor").mkdir(parents=True)
        write_json(folder / "run.json", {"kind": "train", "config": {"data": {"dataset": "digits"}}})
        (folder / "history.csv").write_text(f"step,epoch,lr,loss\n1,0,0.1,{loss}\n2,0,0.1,{loss + 1.0}\n")
        where = {"checkpoint": "last", "epoch": 1, "dataset": "digits", "split": "val", "space": "features"}
        row = MetricRow(**where, metric="uniformity", version=1, params={"t": 2.0}, value=-loss, n=50, seed=0)
        MetricTable((row,)).to_frame().to_csv(folder / "monitor" / "epoch_0001.csv", index=False)
    frames, table = stored_frames([tmp_path / "small", tmp_path / "large"])
    assert len(table) == 0
    assert frames.keys() == {"training_history", "training_trajectory"}
    assert frames["training_history"][["checkpoint", "epoch", "loss"]].to_numpy().tolist() == [
        ["small", 1, 3.5],
        ["large", 1, 2.5],
    ]
    assert frames["training_trajectory"]["value"].tolist() == [-3.0, -2.0]
