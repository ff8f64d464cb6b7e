"""Folders of chunks: Zarr groups, Lance tables, and what Hugging Face's datasets save to disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from repdiag.core.errors import DataError, DependencyError
from repdiag.embeddings.sources.arrow_tables import of_schema, of_table, read_arrow
from repdiag.embeddings.sources.contents import Column, Contents, Numbers, kind_of, put_together

ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")


def is_zarr(folder: Path) -> bool:
    """Say whether a folder is a Zarr array or group."""
    return any((folder / mark).is_file() for mark in ZARR_MARKS)


def open_zarr(folder: Path) -> Contents:
    """Return the arrays of a Zarr group by their path inside; each is read when it is asked for."""
    try:
        import zarr
    except ImportError as error:
        hint = "pip install 'repdiag[formats]', or: np.savez('x.npz', features=zarr.open('x.zarr')['features'][:])"
        raise DependencyError(f"reading {folder.name} needs zarr", hint=hint) from error
    store = zarr.open(str(folder), mode="r")
    if not isinstance(store, zarr.Group):
        return Contents(name=folder.name, columns=(_array("features", store),))
    return Contents(name=folder.name, columns=tuple(_array(name, item) for name, item in _arrays(store)))


def _arrays(group: Any, before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, item in sorted(group.members()):
        path = f"{before}{name}"
        found.extend(_arrays(item, f"{path}/") if hasattr(item, "members") else [(path, item)])
    return found


def _array(name: str, item: Any) -> Column:
    shape = tuple(item.shape)
    numbers: Numbers = kind_of(item)
    said = f"{shape} {item.dtype}"
    return Column(
        name=name,
        numbers=numbers,
        axes=len(shape),
        rows=shape[0] if shape else None,
        said=said,
        load=lambda: item[...],
    )


def is_lance(folder: Path) -> bool:
    """Say whether a folder is a Lance table."""
    return (folder / "_versions").is_dir() and (folder / "data").is_dir()


def open_lance(folder: Path) -> Contents:
    """Return the columns of a Lance table; those of vectors and of scalars only are read."""
    try:
        import lance
    except ImportError as error:
        hint = "pip install 'repdiag[lance]', or: lance.dataset('x.lance').to_table().to_pandas().to_parquet(...)"
        raise DependencyError(f"reading {folder.name} needs pylance", hint=hint) from error
    found = lance.dataset(str(folder))
    read = found.to_table
    return of_schema(folder.name, found.schema, lambda name: read([name]).column(0), rows=found.count_rows())


def is_saved_dataset(folder: Path) -> bool:
    """Say whether a folder is what `save_to_disk` of Hugging Face's datasets wrote: one split, or several."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def open_saved_dataset(folder: Path) -> Contents:
    """Return the columns of a saved dataset; the names of a ClassLabel come with its numbers."""
    import json

    if (folder / "dataset_dict.json").is_file():
        splits = json.loads((folder / "dataset_dict.json").read_text("utf-8"))["splits"]
        if len(splits) == 1:
            return open_saved_dataset(folder / splits[0])
        found = ", ".join(splits)
        hint = f"name one: {folder / splits[-1]}" + (f" --bank {folder / 'train'}" if "train" in splits else "")
        raise DataError(f"{folder.name} holds several splits", found=found, hint=hint)
    state = json.loads((folder / "state.json").read_text("utf-8"))
    files = [folder / item["filename"] for item in state["_data_files"]]
    if state.get("_indices_files"):
        hint = "dataset.flatten_indices().save_to_disk(...)"
        raise DataError(f"{folder.name} was saved with a selection of rows", hint=hint)
    parts = [of_table(path.name, read_arrow(path)) for path in files]
    return put_together(parts, name=folder.name)
