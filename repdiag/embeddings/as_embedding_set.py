"""The one door into `EmbeddingSet`: arrays, tensors, a stored folder, or a file of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError
from repdiag.embeddings.store import is_stored, load_embedding_set

FILE_KINDS = (".npz", ".npy", ".parquet", ".safetensors")
_FEATURE_NAMES = ("features", "embeddings", "embedding", "vectors", "x")
_LABEL_NAMES = ("labels", "label", "targets", "target", "y")


def as_embedding_set(source: Any, *, labels: Any = None) -> EmbeddingSet:
    """Return `source` as an `EmbeddingSet`; one that is already there comes back unchanged.

    Accepts an `EmbeddingSet`, an array or tensor [N, D], a stored folder, or a path to .npz, .npy, .parquet or
    .safetensors. `labels` may be an array [N], a path of the same kinds, or text values, which become class names.
    Raises `DataError` naming what the file holds when no vectors are found in it.
    """
    if isinstance(source, EmbeddingSet):
        return source if labels is None else _with_labels(source, labels)
    is_path = isinstance(source, str | Path)
    found = _from_path(Path(source)) if is_path else EmbeddingSet(features=_float(source))
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
    arrays = _read(path)
    name = next((n for n in _FEATURE_NAMES if n in arrays), None)
    if name is None:
        raise DataError(
            f"no vectors found in {path.name}", found=", ".join(arrays) or "nothing", hint="name it features"
        )
    label_name = next((n for n in _LABEL_NAMES if n in arrays), None)
    views = arrays.get("views")
    found = EmbeddingSet(features=_float(arrays[name]), views=None if views is None else _float(views))
    return found if label_name is None else _with_labels(found, arrays[label_name])


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".npy":
            return {"features": np.load(path, allow_pickle=False)}
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        return _read_parquet(path)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot read {path.name}", found=str(error)) from error
    except Exception as error:  # safetensors and pyarrow raise kinds of their own
        raise DataError(f"cannot read {path.name}", found=f"{type(error).__name__}: {error}") from error


def _read_parquet(path: Path) -> dict[str, Any]:
    """Read either one list column of vectors or one numeric column for each dimension."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    arrays: dict[str, Any] = {}
    numeric: list[str] = []
    for field in table.schema:
        column = table.column(field.name)
        if (
            pa.types.is_list(field.type)
            or pa.types.is_large_list(field.type)
            or pa.types.is_fixed_size_list(field.type)
        ):
            arrays[field.name] = np.asarray(column.to_pylist())
        elif field.name.lower() in _LABEL_NAMES:
            arrays[field.name.lower()] = np.asarray(column.to_pylist())
        elif pa.types.is_floating(field.type):
            numeric.append(field.name)
    if numeric and not any(name in arrays for name in _FEATURE_NAMES):
        arrays["features"] = np.stack([table.column(name).to_numpy() for name in numeric], axis=1)
    return arrays


def _float(values: Any) -> Tensor:
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    return tensor if tensor.is_floating_point() else tensor.float()


def _with_labels(found: EmbeddingSet, labels: Any) -> EmbeddingSet:
    from dataclasses import replace

    if isinstance(labels, str | Path):
        labels = _labels_from_path(Path(labels))
    values = labels.numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.dtype.kind in "USO":
        names, values = np.unique(values.astype(str), return_inverse=True)
        return replace(found, labels=torch.as_tensor(values), class_names=tuple(str(name) for name in names))
    return replace(
        found,
        labels=torch.as_tensor(values.astype(np.int64)) if values.dtype.kind == "u" else torch.as_tensor(values),
    )


def _labels_from_path(path: Path) -> Any:
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    if path.suffix in {".txt", ".csv"}:
        return np.asarray(path.read_text("utf-8").split())
    arrays = _read(path)
    name = next((n for n in (*_LABEL_NAMES, "features") if n in arrays), None)
    if name is None:
        raise DataError(
            f"no labels found in {path.name}", found=", ".join(arrays) or "nothing", hint="name them labels"
        )
    return arrays[name]
