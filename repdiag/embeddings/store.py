"""Embedding sets on disk: safetensors arrays, parquet rows, a JSON manifest; verified whenever they are read."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import ARRAY_FIELDS, EmbeddingSet, RowIds
from repdiag.core.errors import StoreError, UsageError
from repdiag.core.files import write_atomic, write_json
from repdiag.core.provenance import Provenance, sha256_of_file

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
ROWS = "rows.parquet"


def save_embedding_set(embeddings: EmbeddingSet, folder: Path) -> Path:
    """Write the set into `folder`, all or nothing.

    Everything goes into a private temporary folder first, which is then renamed. Where another process has put the
    same set there in the meantime, the one in place stays: no lock is needed and none is trusted.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    try:
        _write_parts(embeddings, temporary)
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def place_embedding_set(embeddings: EmbeddingSet, folder: Path, *, overwrite: bool) -> Path:
    """Write the set into a folder that a user named: a new one, or with `overwrite` in place of a stored set.

    The old set is replaced when the new one is whole. Raises `UsageError` where the folder is there and may not be
    replaced, or holds anything but a stored set.
    """
    if not folder.exists():
        return save_embedding_set(embeddings, folder)
    if not overwrite:
        raise UsageError(f"{folder} already exists", hint="choose another --out, or give --overwrite")
    if not is_stored(folder):
        hint = "choose another --out: only a stored set of embeddings is replaced"
        raise UsageError(f"{folder} holds files that repdiag did not write", hint=hint)
    beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".tmp"))
    try:
        save_embedding_set(embeddings, beside / "new")
        folder.rename(beside / "old")
        (beside / "new").rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def load_embedding_set(folder: Path) -> EmbeddingSet:
    """Read a stored set; arrays stay memory-mapped. Raises `StoreError` when any file differs from its checksum."""
    from safetensors import safe_open

    manifest = read_manifest(folder)
    for name, expected in manifest["sha256"].items():
        _verify(folder / name, expected)
    arrays: dict[str, Tensor] = {}
    for name in manifest["arrays"]:
        with safe_open(folder / f"{name}.safetensors", framework="pt") as shard:
            arrays[name] = shard.get_tensor(name)
    row_ids, labels = _read_rows(folder / ROWS)
    return EmbeddingSet(
        **arrays,
        labels=labels,
        row_ids=row_ids,
        class_names=tuple(manifest["class_names"]) if manifest["class_names"] is not None else None,
        provenance=Provenance.from_dict(manifest["provenance"]),
    )


def is_stored(folder: Path) -> bool:
    """Say whether `folder` looks like a stored set."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a stored set."""
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"not a stored embedding set: {folder}", found=str(error)) from error
    if manifest.get("format_version") != FORMAT_VERSION:
        found = f"format version {manifest.get('format_version')}, this release reads {FORMAT_VERSION}"
        raise StoreError(f"cannot read the embedding set {folder}", found=found, hint="extract it again")
    return manifest


def _write_parts(embeddings: EmbeddingSet, folder: Path) -> None:
    from safetensors.torch import save

    arrays = [name for name in ARRAY_FIELDS if name != "labels" and getattr(embeddings, name) is not None]
    for name in arrays:
        data = save({name: getattr(embeddings, name).contiguous().cpu()})
        write_atomic(folder / f"{name}.safetensors", lambda stream, data=data: stream.write(data))  # type: ignore[misc]
    _write_rows(embeddings, folder / ROWS)
    files = sorted(path.name for path in folder.iterdir())
    manifest = {
        "format_version": FORMAT_VERSION,
        "rows": len(embeddings),
        "arrays": arrays,
        "class_names": embeddings.class_names,
        "provenance": embeddings.provenance.to_dict(),
        "sha256": {name: sha256_of_file(folder / name) for name in files},
    }
    write_json(folder / MANIFEST, manifest)


def _write_rows(embeddings: EmbeddingSet, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"row_id": pa.array(embeddings.row_ids)}
    if embeddings.labels is not None:
        columns["label"] = pa.array(embeddings.labels.cpu().numpy())
    write_atomic(path, lambda stream: pq.write_table(pa.table(columns), stream))


def _read_rows(path: Path) -> tuple[RowIds, Tensor | None]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    ids = np.asarray(table.column("row_id").to_pylist())
    if "label" not in table.column_names:
        return ids, None
    return ids, torch.as_tensor(table.column("label").to_numpy().copy())


def _verify(path: Path, expected: str) -> None:
    if not path.is_file() or sha256_of_file(path) != expected:
        found = "missing" if not path.is_file() else "its checksum differs"
        raise StoreError(f"{path} is damaged", found=found, hint="delete the folder; it will be extracted again")


def _move_into_place(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        if is_stored(folder):
            return  # another process finished first, with the same content
        raise StoreError(f"could not write {folder}", found=error.strerror or str(error)) from error
