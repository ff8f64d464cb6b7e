"""The one door into `EmbeddingSet`: arrays, tensors, a stored folder, or a file of vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError
from repdiag.embeddings.shards import is_pattern, read_shards, shard_paths
from repdiag.embeddings.store import is_stored, load_embedding_set
from repdiag.embeddings.vector_files import (
    FILE_KINDS,
    ROW_NAMES,
    TEXT_KINDS,
    pick,
    pick_features,
    pick_labels,
    read_arrays,
    read_labels,
)


def as_embedding_set(source: Any, *, labels: Any = None) -> EmbeddingSet:
    """Return `source` as an `EmbeddingSet`; one that is already there comes back unchanged.

    Accepts an `EmbeddingSet`, an array, frame or tensor [N, D], a stored folder, or a path: to .npz, .npy, .parquet,
    .safetensors or .pt, to a folder of such files, or a pattern of their names, which are parts of one set, by name.
    `labels` may be an array [N], a path of the same kinds or to .txt, .csv or .tsv, or text values, which become class
    names. Raises `DataError` naming what the file holds when no vectors are found in it.

    Example:
        >>> import numpy as np, repdiag
        >>> repdiag.as_embedding_set(np.eye(3), labels=[0, 1, 1]).labels.tolist()
        [0, 1, 1]
    """
    if isinstance(source, EmbeddingSet):
        return source if labels is None else _with_labels(source, labels)
    is_path = isinstance(source, str | Path)
    found = _from_path(Path(source)) if is_path else EmbeddingSet(features=source)
    return found if labels is None else _with_labels(found, labels)


def _from_path(path: Path) -> EmbeddingSet:
    if path.is_dir() and is_stored(path):
        return load_embedding_set(path)
    if path.is_dir() or is_pattern(path):
        features, views, labels, rows = read_shards(shard_paths(path))
    else:
        features, views, labels, rows = _from_file(path)
    found = EmbeddingSet(features=features, views=views, row_ids=None if rows is None else np.asarray(rows))
    return found if labels is None else _with_labels(found, labels)


def _from_file(path: Path) -> tuple[Any, Any, Any, Any]:
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    if path.suffix.lower() not in FILE_KINDS:
        raise DataError(f"cannot read vectors from {path.name}", hint=f"known kinds: {', '.join(FILE_KINDS)}")
    arrays = read_arrays(path)
    return pick_features(arrays, path), pick(arrays, ("views",)), pick_labels(arrays), pick(arrays, ROW_NAMES)


def _with_labels(found: EmbeddingSet, labels: Any) -> EmbeddingSet:
    if isinstance(labels, str | Path):
        path = Path(labels)
        labels = read_labels(path)
        if len(labels) == len(found) + 1 and path.suffix.lower() in TEXT_KINDS:
            raise DataError(
                f"{path.name} has one line more than there are rows",
                found=f"{len(labels)} lines, {len(found)} rows, the first line is {str(labels[0])!r}",
                hint="if that is a heading, name it label",
            )
    return replace(found, labels=labels.cpu() if isinstance(labels, Tensor) else labels, class_names=None)
