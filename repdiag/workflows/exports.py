"""One split of one encoder in the formats of other tools: embedding viewers, TensorBoard's projector, graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import StoreError
from repdiag.core.files import write_atomic, write_text

if TYPE_CHECKING:
    import pandas as pd

NEIGHBORS = 15
_FOLDER = "imagefolder:"


def export_set(found: EmbeddingSet, part: Path, out: Path, *, to: str, seed: int) -> Path:
    """Write one set in a format; `part` is the analysis that it is of, `out` where to, without an ending."""
    import pandas as pd

    if to == "knn-graph":
        return export_graph(found, out.with_name(f"{out.name}.npz"))
    if to == "tensorboard-projector":
        return export_projector(found, out, seed=seed).parent
    rows = part / "per_row.parquet"
    by_row = pd.read_parquet(rows) if rows.is_file() else None
    return export_parquet(found, out.with_name(f"{out.name}.parquet"), rows=by_row, seed=seed)


def export_parquet(found: EmbeddingSet, out: Path, *, rows: pd.DataFrame | None, seed: int) -> Path:
    """Write one row an image: vector, 2-D coordinates (UMAP), path, label, cluster, and its parts of the metrics.

    Columns: row_id, image_path (null where the images are no folder), label, class_name, cluster (k-means, K = C), x,
    y, vector (list of float32), and one a metric and setting of `rows`, the run's per_row.parquet.
    """
    from repdiag.embeddings.projection_2d import project_2d

    plane = project_2d(found.features, seed=seed).numpy()
    frame = _described(found, seed=seed)
    frame["x"], frame["y"] = plane[:, 0], plane[:, 1]
    frame["vector"] = list(found.features.float().cpu().numpy())
    if rows is not None:
        frame = frame.merge(_by_image(rows, found.provenance.split), on="row_id", how="left")
    return write_atomic(out, lambda stream: frame.to_parquet(stream, index=False))


def export_projector(found: EmbeddingSet, out: Path, *, seed: int) -> Path:
    """Write vectors.tsv, metadata.tsv and projector_config.pbtxt into a folder that TensorBoard's projector opens."""
    frame = _described(found, seed=seed).drop(columns="image_path")
    vectors = found.features.double().cpu().numpy()
    write_text(out / "vectors.tsv", "".join("\t".join(f"{value:.8g}" for value in row) + "\n" for row in vectors))
    lines = ["\t".join(frame.columns), *("\t".join(map(_cell, row)) for row in frame.itertuples(index=False))]
    write_text(out / "metadata.tsv", "\n".join(lines) + "\n")
    name = json.dumps(found.provenance.checkpoint, ensure_ascii=True)
    config = (
        f'embeddings {{\n  tensor_name: {name}\n  tensor_path: "vectors.tsv"\n  metadata_path: "metadata.tsv"\n}}\n'
    )
    return write_text(out / "projector_config.pbtxt", config)


def export_graph(found: EmbeddingSet, out: Path, *, neighbors: int = NEIGHBORS) -> Path:
    """Write the graph of nearest neighbours (cosine, self excluded) as CSR: what `scipy.sparse.load_npz` reads."""
    import scipy.sparse

    from repdiag.metrics.pairwise import TopK, over_pairs, unit_rows

    count, each = len(found), min(neighbors, len(found) - 1)
    if each < 1:
        raise StoreError("a graph needs two rows", found=str(count))
    top = over_pairs(unit_rows(found.features), TopK(each))
    graph = scipy.sparse.csr_matrix(
        (
            top.score.double().cpu().numpy().ravel().astype(np.float32),
            top.index.cpu().numpy().ravel(),
            np.arange(0, count * each + 1, each),
        ),
        shape=(count, count),
    )
    return write_atomic(out, lambda stream: scipy.sparse.save_npz(stream, graph))


def _described(found: EmbeddingSet, *, seed: int) -> pd.DataFrame:
    import pandas as pd

    from repdiag.metrics.breakdown import class_names_of
    from repdiag.metrics.clusters.kmeans import assignments

    assert found.row_ids is not None
    frame = pd.DataFrame({"row_id": [str(row) for row in found.row_ids]})
    dataset = found.provenance.dataset
    folder = Path(dataset.removeprefix(_FOLDER)) if dataset.startswith(_FOLDER) else None
    frame["image_path"] = [None if folder is None else str(folder / row) for row in frame["row_id"]]
    if found.labels is not None:
        frame["label"] = found.labels.cpu().numpy()
        frame["class_name"] = class_names_of(found)
        frame["cluster"] = assignments(found.features, frame["label"].nunique(), seed=seed)
    return frame


def _by_image(rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """Return one column a metric and setting of the features."""
    chosen = rows[(rows["split"] == split) & (rows["space"] == "features")]
    names = [_column(metric, params) for metric, params in zip(chosen["metric"], chosen["params"], strict=True)]
    wide: pd.DataFrame = chosen.assign(column=names, row_id=chosen["row_id"].astype(str)).pivot_table(
        index="row_id", columns="column", values="value", aggfunc="first"
    )
    return wide.rename_axis(columns=None).reset_index()


def _column(metric: str, params: str) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in sorted(json.loads(params).items()))
    return f"{metric} ({settings})" if settings else metric


def _cell(value: Any) -> str:
    """Return text without what separates cells and lines."""
    return " ".join(str(value).split())
