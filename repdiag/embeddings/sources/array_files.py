"""Files of named arrays: npy, npz, safetensors, MATLAB's mat, and the fvecs, bvecs and ivecs of search benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from repdiag.core.errors import DataError
from repdiag.embeddings.declared_sizes import check_npz
from repdiag.embeddings.sources.contents import Column, Contents, of_array, unreadable

VECS_KINDS = {".fvecs": "<f4", ".bvecs": "u1", ".ivecs": "<i4"}


def open_npy(path: Path) -> Contents:
    """Return the one array of a file, mapped into memory, so that a file may be larger than it."""
    # "c": changes would stay in memory.
    value = np.load(path, mmap_mode="c", allow_pickle=False)
    return Contents(name=path.name, columns=(of_array("features", value, is_named=False),))


def open_npz(path: Path) -> Contents:
    """Return the arrays of an archive; one of objects is named, and not read: it would have to be unpickled."""
    check_npz(path)
    with np.load(path, allow_pickle=False) as archive:
        return Contents(name=path.name, columns=tuple(_of_archive(archive, name) for name in archive.files))


def _of_archive(archive: Any, name: str) -> Column:
    try:
        return of_array(name, archive[name])
    except ValueError as error:
        if "object" not in str(error).lower():
            raise
        why = (
            "reading objects means unpickling, which can run code: save text with .astype(str), numbers with one dtype"
        )
        return unreadable(name, "objects", why)


def open_safetensors(path: Path) -> Contents:
    """Return the tensors of a file."""
    from safetensors.torch import load_file

    return Contents(name=path.name, columns=tuple(of_array(name, value) for name, value in load_file(path).items()))


def open_mat(path: Path) -> Contents:
    """Return the arrays of a MATLAB file of version 7 or older; newer ones are HDF5 files."""
    import scipy.io
    import scipy.sparse

    with path.open("rb") as stream:
        start = stream.read(128)
    if start.startswith(b"MATLAB 7.3") or start.startswith(b"\x89HDF"):
        from repdiag.embeddings.sources.hdf5 import open_hdf5

        return open_hdf5(path, transposed=True)  # MATLAB stores columns first
    columns = []
    for name, value in scipy.io.loadmat(path, chars_as_strings=True).items():
        if name.startswith("__"):
            continue
        if scipy.sparse.issparse(value):
            columns.append(unreadable(name, "sparse", "it is sparse: save full(X)"))
        elif value.dtype.kind == "O":
            columns.append(_of_cells(name, value))
        else:
            columns.append(_of_mat(name, value))
    return Contents(name=path.name, columns=tuple(columns))


def _of_mat(name: str, value: Any) -> Column:
    """Return a MATLAB array; one row or one column of it is one value a row."""
    single = value.ndim == 2 and 1 in value.shape and value.size > 1
    return of_array(name, np.char.strip(value) if value.dtype.kind == "U" else value.ravel() if single else value)


def _of_cells(name: str, value: Any) -> Column:
    """Return a cell array of texts as text."""
    cells = [cell.item() if getattr(cell, "size", 0) == 1 else cell for cell in value.ravel()]
    if all(isinstance(cell, str) for cell in cells):
        return of_array(name, np.asarray(cells))
    return unreadable(name, f"cells {value.shape}", "cells of a MATLAB file are read where all are text")


def open_vecs(path: Path) -> Contents:
    """Return the vectors of a file of TEXMEX's layout: before each vector, its dimension as a 32-bit integer."""
    kind = np.dtype(VECS_KINDS[path.suffix.lower()])
    content = np.memmap(path, dtype=np.uint8, mode="r") if path.stat().st_size else np.empty(0, np.uint8)
    dims = int(content[:4].view("<i4")[0]) if len(content) >= 4 else 0
    row = 4 + dims * kind.itemsize
    if dims < 1 or len(content) % row:
        found = f"{len(content)} bytes, the first vector has {dims} dimensions"
        raise DataError(f"{path.name} is damaged, or its vectors are not of one length", found=found)
    rows = content.reshape(-1, row)
    if len(np.unique(rows[:, :4].copy().view("<i4"))) > 1:
        raise DataError(f"the vectors of {path.name} are not of one length")
    values = np.ascontiguousarray(rows[:, 4:]).view(kind)
    return Contents(name=path.name, columns=(of_array("features", values, is_named=False),))
