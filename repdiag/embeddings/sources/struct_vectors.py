"""Vectors that engines write as records: Spark ML's dense and sparse vectors, Ray's tensors with their shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from repdiag.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

_SPARK = frozenset(("type", "size", "indices", "values"))
_RAY = frozenset(("data", "shape"))


def is_record_of_vectors(kind: pa.DataType) -> bool:
    """Say whether a type is the record in which Spark ML or Ray keep the vector of a row."""
    import pyarrow as pa

    if not pa.types.is_struct(kind):
        return False
    named = {field.name: field.type for field in kind}
    if set(named) not in (_SPARK, _RAY):
        return False
    held = named["values" if "values" in named else "data"]
    lists = pa.types.is_list(held) or pa.types.is_large_list(held)
    return bool(lists and (pa.types.is_floating(held.value_type) or pa.types.is_integer(held.value_type)))


def of_records(name: str, column: pa.ChunkedArray) -> Any:
    """Return the vectors [N, D] of a column of such records; rows without one are masked.

    Raises `DataError` where they are not of one length, or are tensors of several axes.
    """
    missing = column.is_null().to_numpy()
    given = column.drop_null().combine_chunks()
    parts = {field.name: given.field(field.name) for field in given.type}
    rows = _of_spark(name, parts) if "values" in parts else _of_ray(name, parts)
    if not missing.any():
        return rows
    whole = np.zeros((len(missing), *rows.shape[1:]), dtype=rows.dtype)
    whole[~missing] = rows
    return np.ma.MaskedArray(whole, mask=np.broadcast_to(missing[:, None], whole.shape))


def _of_spark(name: str, parts: dict[str, Any]) -> NDArray[Any]:
    """Dense rows (type 1) keep their numbers alone, sparse ones (type 0) also their length and the places of those."""
    import pyarrow.compute as pc

    counts = _lengths(parts["values"])
    sparse = parts["type"].to_numpy(zero_copy_only=False) == 0
    sizes = np.where(sparse, pc.fill_null(parts["size"], 0).to_numpy(zero_copy_only=False), counts)
    width = _one_length(name, sizes)
    rows = np.zeros((len(sizes), width))
    values = parts["values"].flatten().to_numpy(zero_copy_only=False)
    of_sparse = np.repeat(sparse, counts)
    rows[~sparse] = values[~of_sparse].reshape(-1, width)
    which = np.repeat(np.arange(len(rows)), counts)[of_sparse]
    rows[which, parts["indices"].flatten().to_numpy(zero_copy_only=False)] = values[of_sparse]
    return rows


def _of_ray(name: str, parts: dict[str, Any]) -> NDArray[Any]:
    axes = _lengths(parts["shape"])
    if bool((axes != 1).any()):
        found = f"{int(axes.max())} axes a row"
        raise DataError(f"the rows of {name} are tensors of several axes", found=found, hint="flatten them")
    width = _one_length(name, _lengths(parts["data"]))
    values: NDArray[Any] = parts["data"].flatten().to_numpy(zero_copy_only=False)
    return values.reshape(-1, width)


def _lengths(lists: Any) -> NDArray[np.int64]:
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def _one_length(name: str, sizes: NDArray[Any]) -> int:
    lengths = np.unique(sizes)
    if len(lengths) > 1:
        raise DataError(f"the rows of {name} are not of one length", found=f"lengths {lengths.tolist()[:5]}")
    return int(lengths[0]) if len(lengths) else 0
