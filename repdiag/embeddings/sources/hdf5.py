"""HDF5 files: datasets by their path, and AnnData's h5ad with its obsm and obs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repdiag.core.errors import DataError, DependencyError
from repdiag.embeddings.sources.contents import Column, Contents, Numbers, unreadable

if TYPE_CHECKING:
    import h5py

HDF5_KINDS = (".h5", ".hdf5", ".hdf", ".he5")
_KINDS: dict[str, Numbers] = {"f": "float", "i": "integer", "u": "integer", "b": "integer", "S": "text", "O": "text"}


def open_hdf5(path: Path, *, transposed: bool = False) -> Contents:
    """Return every dataset of a file, called by its path inside; each is read when it is asked for."""
    columns: list[Column] = []

    def visit(name: str, item: Any) -> None:
        if hasattr(item, "dtype"):
            columns.append(_dataset(path, name, item, transposed=transposed))

    with _opened(path) as file:
        if "obsm" in file and "obs" in file:
            return open_h5ad(path)
        file.visititems(visit)
    return Contents(name=path.name, columns=tuple(columns))


def _opened(path: Path) -> h5py.File:
    try:
        import h5py
    except ImportError as error:
        hint = "pip install 'repdiag[formats]', or: np.savez('x.npz', features=file['features'][:])"
        raise DependencyError(f"reading {path.name} needs h5py", hint=hint) from error
    return h5py.File(path, "r")


def _dataset(path: Path, name: str, item: h5py.Dataset, *, transposed: bool = False) -> Column:
    shape = tuple(item.shape[::-1] if transposed else item.shape)
    numbers = _KINDS.get(item.dtype.kind, "other")
    if numbers == "other" or (item.dtype.kind == "O" and item.dtype.metadata is None):
        return unreadable(name, f"{shape} {item.dtype}", f"its type is {item.dtype}")

    def load() -> Any:
        with _opened(path) as file:
            return _values(file[name], transposed=transposed)

    single = transposed and len(shape) == 2 and 1 in shape and max(shape) > 1
    axes, rows = (1, max(shape)) if single else (len(shape), shape[0] if shape else None)
    return Column(name=name, numbers=numbers, axes=axes, rows=rows, said=f"{shape} {item.dtype}", load=load)


def _values(item: h5py.Dataset, *, transposed: bool = False) -> Any:
    values = item.asstr()[()] if item.dtype.kind == "O" else item[()]
    if transposed:
        values = values.T
        return values.ravel() if 1 in values.shape and values.size > 1 else values
    return values


def open_h5ad(path: Path) -> Contents:
    """Return the arrays of obsm as vectors, the columns of obs as values and the names of the cells; X is left out."""
    with _opened(path) as file:
        if "obsm" not in file and "X" not in file:
            raise DataError(f"{path.name} is not an AnnData file", found=", ".join(file) or "nothing")
        columns = [_observed(path, "obs", name) for name in file.get("obs", ()) if not name.startswith("__")]
        columns += [_embedding(path, name, file["obsm"][name]) for name in file.get("obsm", ())]
        x = file.get("X")
        if x is not None:
            dense = hasattr(x, "shape")
            whole = _dataset(path, "X", x) if dense else unreadable("X", "sparse", "it is sparse: an obsm is meant")
            columns.append(whole)
    return Contents(name=path.name, columns=tuple(columns))


def _embedding(path: Path, name: str, item: Any) -> Column:
    if not hasattr(item, "shape"):
        return unreadable(f"obsm/{name}", "a frame or sparse", "it is no dense array")
    return _dataset(path, f"obsm/{name}", item)


def _observed(path: Path, group: str, name: str) -> Column:
    """Return a column of obs: an array, or a categorical of codes and categories."""

    def load() -> Any:
        with _opened(path) as file:
            item = file[group][name]
            if hasattr(item, "dtype"):
                return _values(item)
            if "codes" in item:
                categories, codes = np.asarray(_values(item["categories"])), item["codes"][()]
                named = np.asarray([*categories.tolist(), None], dtype=object)
                return named[codes]  # a code of -1 is the last: None
            values, mask = _values(item["values"]), item["mask"][()]
            return np.where(mask, np.nan, values) if values.dtype.kind in "iufb" else values

    with _opened(path) as file:
        obs = file[group]
        index = obs.attrs.get("_index", "_index")
        item = obs[name]
        is_plain = hasattr(item, "dtype")
        source = item if is_plain else item.get("categories", item.get("values"))
        if source is None or not hasattr(source, "dtype"):
            return unreadable(name, "a group", "its layout is not known")
        numbers = _KINDS.get(source.dtype.kind, "other")
        rows = len(item if is_plain else item.get("codes", item.get("values")))
    called = "barcode" if name == index else name
    return Column(name=called, numbers=numbers, axes=1, rows=rows, said=f"({rows},) of obs", load=load)
