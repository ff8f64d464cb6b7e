"""What other tools are given: the same rows in the same order, with what is known about them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse
import torch
from stored_runs import embedding_set

from repdiag.core.provenance import Provenance
from repdiag.workflows.exports import export_graph, export_parquet, export_projector

HOSTILE = "a\tb\nc"
FOUND = replace(
    embedding_set("val", names=("one", HOSTILE), rows=12, seed=0),
    provenance=Provenance(checkpoint="small", dataset="imagefolder:/images", split="val"),
)


def test_parquet_holds_vectors_places_paths_clusters_and_the_parts_by_image(tmp_path: Path) -> None:
    parts = {"metric": "knn_accuracy", "params": '{"k": 20}', "split": "val", "space": "features"}
    rows = pd.DataFrame({**parts, "row_id": FOUND.row_ids[::-1], "value": np.arange(12.0)})  # type: ignore[index]
    read = pd.read_parquet(export_parquet(FOUND, tmp_path / "a.parquet", rows=rows, seed=0))
    np.testing.assert_array_equal(np.stack(read["vector"].tolist()), FOUND.features.numpy())
    assert read["image_path"].iloc[3] == "/images/val/000003"
    assert read["knn_accuracy (k=20)"].tolist() == list(np.arange(12.0)[::-1])
    assert read["class_name"].tolist()[:2] == ["one", HOSTILE]
    assert np.isfinite(read[["x", "y"]]).all(axis=None)
    assert read["cluster"].nunique() == 2


def test_projector_files_have_one_line_a_row_whatever_a_class_is_called(tmp_path: Path) -> None:
    config = export_projector(FOUND, tmp_path / "out", seed=0).read_text("utf-8")
    vectors = np.loadtxt(tmp_path / "out" / "vectors.tsv", delimiter="\t")
    np.testing.assert_allclose(vectors, FOUND.features.numpy(), rtol=1e-7, atol=1e-30)
    lines = (tmp_path / "out" / "metadata.tsv").read_text("utf-8").splitlines()
    assert [line.count("\t") for line in lines] == [lines[0].count("\t")] * 13
    assert 'tensor_name: "small"' in config


def test_the_graph_has_the_nearest_neighbours_of_every_row_and_not_itself(tmp_path: Path) -> None:
    graph = scipy.sparse.load_npz(export_graph(FOUND, tmp_path / "graph.npz", neighbors=3))
    unit = torch.nn.functional.normalize(FOUND.features.double(), dim=1)
    cosine = (unit @ unit.T).fill_diagonal_(-2.0)
    expected = cosine.topk(3).indices.sort(dim=1).values.numpy()
    assert graph.shape == (12, 12)
    np.testing.assert_array_equal(np.sort(graph.indices.reshape(12, 3), axis=1), expected)
    np.testing.assert_allclose(graph.data.reshape(12, 3).max(axis=1), cosine.amax(dim=1).numpy(), rtol=1e-6)
