"""Tables and arrays that are at hand in Python: frames, Arrow tables, AnnData, datasets, dictionaries of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.embeddings.sources.arrow_tables import of_table
from repdiag.embeddings.sources.contents import Column, Contents, of_array, unreadable


def is_table(value: Any) -> bool:
    """Say whether an object holds named columns, and is no array itself."""
    package, kind = type(value).__module__.partition(".")[0], type(value).__name__
    known = {"pandas": "DataFrame", "pyarrow": "Table", "polars": "DataFrame", "anndata": "AnnData"}
    return isinstance(value, Mapping) or known.get(package) == kind or (package == "datasets" and kind[:7] == "Dataset")


def open_object(value: Any) -> Contents | None:
    """Return the columns of a table or of named arrays; None for what is an array itself."""
    if isinstance(value, Mapping) and type(value).__name__ != "DatasetDict":
        return Contents(name="the dictionary", columns=tuple(_of_item(str(name), item) for name, item in value.items()))
    if not is_table(value):
        return None
    package, kind = type(value).__module__.partition(".")[0], type(value).__name__
    if kind == "DatasetDict":
        raise DataError("a DatasetDict holds several splits", found=", ".join(value), hint="give one: dataset['test']")
    readers: dict[str, Callable[[Any], Contents]] = {
        "pandas": _of_frame,
        "pyarrow": lambda table: of_table("the table", table),
        "polars": lambda frame: of_table("the frame", frame.to_arrow()),
        "datasets": lambda data: of_table("the dataset", data.with_format("arrow")[:]),
        "anndata": _of_anndata,
    }
    return readers[package](value)


def _of_frame(frame: Any) -> Contents:
    """Return a frame's columns; an index of text names the rows."""
    import pandas as pd
    import pyarrow as pa

    plain = isinstance(frame.index, pd.RangeIndex)
    if plain or frame.index.nlevels > 1:
        whole = frame.reset_index(drop=True)
    else:
        called = str(frame.index.name or "index")
        whole = frame.reset_index(drop=True)
        if called not in whole.columns:
            whole = whole.assign(**{called: frame.index.to_numpy()})
    whole.columns = [str(name) for name in whole.columns]
    columns: list[Column] = []
    for name in whole.columns:
        column = whole[name]
        try:
            table = pa.Table.from_pandas(_lists(column).to_frame(name), preserve_index=False)
            columns.extend(of_table("the frame", table).columns)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            columns.append(unreadable(name, str(column.dtype), str(error).partition("\n")[0][:120]))
    return Contents(name="the frame", columns=tuple(columns), is_table=True)


def _lists(column: Any) -> Any:
    """Return a column whose tensors are arrays, which Arrow takes for lists."""
    first = next(iter(column), None)
    return column.map(lambda item: item.detach().cpu().numpy()) if isinstance(first, Tensor) else column


def _of_anndata(data: Any) -> Contents:
    columns = [of_array("barcode", np.asarray(data.obs_names, dtype=str))]
    columns += list(_of_frame(data.obs.reset_index(drop=True)).columns)
    columns += [_of_item(f"obsm/{name}", data.obsm[name]) for name in data.obsm]
    if data.X is not None:
        columns.append(_of_item("X", data.X))
    return Contents(name="the AnnData", columns=tuple(columns))


def _of_item(name: str, value: Any) -> Column:
    """Return a value as a column: an array, a tensor, or a list of one kind."""
    if hasattr(value, "toarray") and hasattr(value, "nnz"):
        return unreadable(name, f"sparse {value.shape}", "it is sparse: call .toarray() first")
    if isinstance(value, Tensor | np.ndarray):
        return of_array(name, value.detach() if isinstance(value, Tensor) else value)
    if hasattr(value, "to_numpy"):
        return of_array(name, value.to_numpy())
    try:
        return of_array(name, np.asarray(value))
    except (ValueError, TypeError) as error:
        return unreadable(name, f"a {type(value).__name__}", str(error)[:120])
