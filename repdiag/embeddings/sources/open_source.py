"""`open_source`: from a path, an address or an object to its columns; which reader it is depends on what is there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from repdiag.core.errors import CheckpointError, DataError, RepdiagError
from repdiag.embeddings.sources.array_files import VECS_KINDS, open_mat, open_npy, open_npz, open_safetensors, open_vecs
from repdiag.embeddings.sources.arrow_tables import (
    ARROW_KINDS,
    JSON_KINDS,
    PARQUET_KINDS,
    open_arrow,
    open_json,
    open_parquet,
)
from repdiag.embeddings.sources.chunked_arrays import (
    is_lance,
    is_saved_dataset,
    is_zarr,
    open_lance,
    open_saved_dataset,
    open_zarr,
)
from repdiag.embeddings.sources.contents import Contents
from repdiag.embeddings.sources.folders import is_pattern, open_files
from repdiag.embeddings.sources.hdf5 import HDF5_KINDS, open_h5ad, open_hdf5
from repdiag.embeddings.sources.text_tables import LINE_KINDS, TABLE_KINDS, open_lines, open_text_table
from repdiag.embeddings.sources.torch_files import PICKLE_KINDS, TORCH_KINDS, open_pickle, open_torch

T = TypeVar("T")
_READERS: dict[str, Callable[[Path], Contents]] = {
    ".npz": open_npz,
    ".npy": open_npy,
    ".safetensors": open_safetensors,
    ".mat": open_mat,
    ".h5ad": open_h5ad,
    **dict.fromkeys(PARQUET_KINDS, open_parquet),
    **dict.fromkeys(ARROW_KINDS, open_arrow),
    **dict.fromkeys(JSON_KINDS, open_json),
    **dict.fromkeys(TABLE_KINDS, open_text_table),
    **dict.fromkeys(LINE_KINDS, open_lines),
    **dict.fromkeys(TORCH_KINDS, open_torch),
    **dict.fromkeys(PICKLE_KINDS, open_pickle),
    **dict.fromkeys(VECS_KINDS, open_vecs),
    **dict.fromkeys(HDF5_KINDS, open_hdf5),
}
VECTOR_KINDS = tuple(_READERS)
# JSON and text beside vectors describe them, and are no parts of them.
PART_KINDS = tuple(kind for kind in VECTOR_KINDS if kind not in (*LINE_KINDS, ".json"))
_RECIPES = {
    ".tfrecord": "read it with tensorflow and np.savez('x.npz', features=...)",
    ".joblib": "np.savez('x.npz', features=joblib.load(path)): loading it runs code, so do it where you trust it",
    ".xlsx": "save the sheet as CSV",
    ".rds": "write.csv(x, 'x.csv', row.names=FALSE) in R",
    ".bin": "np.save('x.npy', np.fromfile(path, 'float32').reshape(-1, D))",
    ".db": "read the table into a frame and frame.to_parquet('x.parquet')",
    ".faiss": "np.save('x.npy', index.reconstruct_n(0, index.ntotal))",
    ".index": "np.save('x.npy', faiss.read_index(path).reconstruct_n(0, n))",
    ".gz": "unpack it first",
    ".zip": "unpack it first",
}


def open_source(path: Path) -> Contents:
    """Return the columns of a file, a folder or a pattern; raises `DataError` naming what cannot be read and why."""
    if path.is_dir():
        return open_folder(path)
    if is_pattern(path):
        return open_files(path, open_file, VECTOR_KINDS)
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    return open_file(path)


def open_folder(path: Path) -> Contents:
    """Return the columns of a folder: a layout that is known, else files by their names."""
    layouts = ((is_saved_dataset, open_saved_dataset), (is_zarr, open_zarr), (is_lance, open_lance))
    for is_one, opened in layouts:
        if is_one(path):
            return _guarded(opened, path)
    return open_files(path, open_file, PART_KINDS)


def open_file(path: Path) -> Contents:
    """Return the columns of one file."""
    kind = path.suffix.lower()
    if kind not in _READERS:
        hint = _RECIPES.get(kind, f"known kinds: {', '.join(VECTOR_KINDS)}")
        raise DataError(f"cannot read vectors from {path.name}", hint=hint)
    return _guarded(_READERS[kind], path)


def _guarded(reader: Callable[[Path], Contents], path: Path) -> Contents:
    """Call a reader; whatever it meets ends in one error that names the file. What is loaded later is guarded too."""
    from dataclasses import replace

    def once(load: Callable[[], object]) -> Callable[[], object]:
        return lambda: said_of(path, load)

    found = said_of(path, lambda: reader(path))
    columns = tuple(
        replace(column, load=once(column.load), sets=None if column.sets is None else once(column.sets))  # type: ignore[arg-type]
        for column in found.columns
    )
    return replace(found, columns=columns)


def said_of(path: Path, read: Callable[[], T]) -> T:
    """Return what `read` gives; raises `DataError` for what reading meets."""
    try:
        return read()
    except CheckpointError as error:
        raise DataError(f"cannot read {path.name}", found=error.problem, hint=error.hint) from error
    except RepdiagError:
        raise
    except Exception as error:  # every format's library raises kinds of its own
        kind = "" if isinstance(error, OSError | ValueError | KeyError) else f"{type(error).__name__}: "
        raise DataError(f"cannot read {path.name}", found=f"{kind}{error}"[:300], hint=_hint(error)) from error


def _hint(error: Exception) -> str:
    if "object" in str(error).lower() and "pickle" in str(error).lower():
        return (
            "reading objects means unpickling, which can run code: save text with .astype(str), numbers with one dtype"
        )
    return "the file may be cut off, or its name may be wrong: write or copy it again"
