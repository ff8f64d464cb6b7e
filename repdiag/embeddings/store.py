"""Embedding sets on disk: safetensors arrays, parquet rows, a JSON manifest; verified whenever they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from repdiag.core.embedding_set import ARRAY_FIELDS, EmbeddingSet, RowIds
from repdiag.core.errors import StoreError
from repdiag.core.files import store_error, try_to_sync_folder, write_atomic
from repdiag.core.folder_record import SET as MANIFEST
from repdiag.core.provenance import Provenance, sha256_of_file
from repdiag.core.temporary import TemporaryFolder, remove_leftovers
from repdiag.embeddings.manifest import read_manifest, write_manifest

ROWS = "rows.parquet"
_ROW_FIELDS = {"labels": "label", "groups": "group"}  # one number a row, by the name of their column in rows.parquet


def save_embedding_set(embeddings: EmbeddingSet, folder: Path, *, key: str | None = None) -> Path:
    """Write the set into `folder`, all or nothing; `key` names what its values depend on.

    Everything goes into a private temporary folder first, which is then renamed. Where another process has put the
    same set there in the meantime, the one in place stays: no lock is needed and none is trusted.
    """
    try:
        remove_leftovers(folder)
        with TemporaryFolder(folder) as stage:
            fresh = stage / "new"
            fresh.mkdir()
            write_embedding_set(embeddings, fresh, key=key)
            _move_into_place(fresh, folder)
    except OSError as error:
        raise store_error(folder, error) from error
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, OSError):  # it names the private folder
            raise store_error(folder, cause) from cause
        raise
    return folder


def load_embedding_set(folder: Path, *, key: str | None = None) -> EmbeddingSet:
    """Read a stored set; arrays stay memory-mapped.

    Raises `StoreError` when any file differs from its checksum, or when the set is not the one of `key`, where given.
    """
    from safetensors import safe_open

    manifest = read_manifest(folder, key=key)
    for name, expected in manifest["sha256"].items():
        _verify(folder / name, expected)
    try:
        arrays: dict[str, Tensor] = {}
        for name in manifest["arrays"]:
            with safe_open(folder / f"{name}.safetensors", framework="pt") as shard:
                arrays[name] = shard.get_tensor(name)
        row_ids, numbers = _read_rows(folder / ROWS)
        return EmbeddingSet(
            **arrays,
            **numbers,
            row_ids=row_ids,
            class_names=tuple(manifest["class_names"]) if manifest["class_names"] is not None else None,
            provenance=Provenance.from_dict(manifest["provenance"]),
        )
    except StoreError:
        raise
    except Exception as error:  # the files are whole but are not what the manifest says that they are
        said = f"{type(error).__name__}: {error}"[:300]
        raise StoreError(f"{folder} is damaged", found=said, hint="delete the folder and extract it again") from error


def is_stored(folder: Path) -> bool:
    """Say whether `folder` looks like a stored set."""
    return (folder / MANIFEST).is_file()


def write_embedding_set(embeddings: EmbeddingSet, folder: Path, *, key: str | None = None) -> None:
    """Write the files of a set into a folder that nobody else reads yet; see `save_embedding_set`."""
    from safetensors.torch import save

    arrays = [name for name in ARRAY_FIELDS if name not in _ROW_FIELDS and getattr(embeddings, name) is not None]
    for name in arrays:
        data = save({name: getattr(embeddings, name).contiguous().cpu()})
        write_atomic(folder / f"{name}.safetensors", lambda stream, data=data: stream.write(data))  # type: ignore[misc]
    _write_rows(embeddings, folder / ROWS)
    files = sorted(path.name for path in folder.iterdir())
    content = {
        "key": key,
        "rows": len(embeddings),
        "arrays": arrays,
        "class_names": embeddings.class_names,
        "provenance": embeddings.provenance.to_dict(),
        "sha256": {name: sha256_of_file(folder / name) for name in files},
    }
    write_manifest(folder, content)
    try_to_sync_folder(folder)


def _write_rows(embeddings: EmbeddingSet, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"row_id": pa.array(embeddings.row_ids)}
    for name, column in _ROW_FIELDS.items():
        numbers = getattr(embeddings, name)
        if numbers is not None:
            columns[column] = pa.array(numbers.cpu().numpy())
    write_atomic(path, lambda stream: pq.write_table(pa.table(columns), stream))


def _read_rows(path: Path) -> tuple[RowIds, dict[str, Tensor]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    ids = np.asarray(table.column("row_id").to_pylist())
    found = {name: column for name, column in _ROW_FIELDS.items() if column in table.column_names}
    return ids, {name: torch.as_tensor(table.column(column).to_numpy().copy()) for name, column in found.items()}


def _verify(path: Path, expected: str) -> None:
    if not path.is_file() or sha256_of_file(path) != expected:
        found = "missing" if not path.is_file() else "its checksum differs"
        raise StoreError(f"{path} is damaged", found=found, hint="delete the folder and extract it again")


def _move_into_place(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError as error:
        if is_stored(folder):
            return  # another process finished first, with the same content
        raise StoreError(f"could not write {folder}", found=error.strerror or str(error)) from error
