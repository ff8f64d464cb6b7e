"""The one door into `EmbeddingSet`: arrays, tensors, a stored folder, or a file of vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.arrays import TEXT_KINDS, to_array, to_tensor
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError
from repdiag.embeddings.store import is_stored, load_embedding_set
from repdiag.embeddings.vector_files import (
    FILE_KINDS,
    LABEL_NAMES,
    ROW_NAMES,
    pick,
    pick_features,
    read_arrays,
    read_labels,
)


def as_embedding_set(source: Any, *, labels: Any = None) -> EmbeddingSet:
    """Return `source` as an `EmbeddingSet`; one that is already there comes back unchanged.

    Accepts an `EmbeddingSet`, an array, frame or tensor [N, D], a stored folder, or a path to .npz, .npy, .parquet,
    .safetensors or .pt. `labels` may be an array [N], a path of the same kinds or to .txt, .csv or .tsv, or text
    values, which become class names. Raises `DataError` naming what the file holds when no vectors are found in it.
    """
    if isinstance(source, EmbeddingSet):
        return source if labels is None else _with_labels(source, labels)
    is_path = isinstance(source, str | Path)
    found = _from_path(Path(source)) if is_path else EmbeddingSet(features=_float("features", source))
    return found if labels is None else _with_labels(found, labels)


def _from_path(path: Path) -> EmbeddingSet:
    if path.is_dir():
        if is_stored(path):
            return load_embedding_set(path)
        raise DataError(f"no embedding set in the folder {path}", hint="give a stored set or a file of vectors")
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    if path.suffix not in FILE_KINDS:
        raise DataError(f"cannot read vectors from {path.name}", hint=f"known kinds: {', '.join(FILE_KINDS)}")
    arrays = read_arrays(path)
    features = _float("features", pick_features(arrays, path))
    views, rows, labels = (pick(arrays, names) for names in (("views",), ROW_NAMES, LABEL_NAMES))
    found = EmbeddingSet(
        features=features,
        views=None if views is None else _float("views", views),
        row_ids=None if rows is None else np.asarray(rows),
    )
    return found if labels is None else _with_labels(found, labels)


def _float(name: str, values: Any) -> Tensor:
    tensor = to_tensor(name, values)
    if tensor.is_complex():
        raise DataError(f"{name} must be real numbers", found=str(tensor.dtype), hint="give real and imaginary parts")
    return tensor if tensor.is_floating_point() else tensor.float()


def _with_labels(found: EmbeddingSet, labels: Any) -> EmbeddingSet:
    if isinstance(labels, str | Path):
        labels = read_labels(Path(labels))
    values = labels.cpu() if isinstance(labels, Tensor) else to_array("labels", labels)
    if isinstance(values, np.ndarray) and values.dtype.kind in TEXT_KINDS:
        names, numbers = np.unique(values, return_inverse=True)
        return replace(found, labels=torch.from_numpy(numbers), class_names=tuple(str(name) for name in names))
    whole = to_tensor("labels", values)
    if whole.is_floating_point() and bool((whole == whole.round()).all()):
        whole = whole.long()  # whole numbers that a frame or a text file kept as floats
    return replace(found, labels=whole if whole.is_floating_point() else whole.long(), class_names=None)
