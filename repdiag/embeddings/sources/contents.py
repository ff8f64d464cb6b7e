"""What a container holds, before anything is chosen of it: columns by name, each loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from repdiag.core.arrays import to_array, to_floating
from repdiag.core.errors import DataError
from repdiag.core.large_tensor import large_tensor

Numbers = Literal["float", "integer", "text", "other"]


@dataclass(frozen=True, kw_only=True)
class Column:
    """A named array of a container. `axes` counts those of the loaded array; `said` describes it in an error.

    `load` gives an array, a tensor or a masked array whose masked rows have no value; it raises `DataError` for what
    cannot be an array. `sets` gives the values of each row where they are several, of any number. `problem` says of a
    column that cannot be read at all why not.
    """

    name: str
    numbers: Numbers
    axes: int
    rows: int | None
    said: str
    load: Callable[[], Any]
    sets: Callable[[], list[tuple[Any, ...]]] | None = None
    problem: str = ""
    is_named: bool = True  # by the file itself


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The columns of one container, in their order; `bank` is the train set that lies beside it, where one does."""

    name: str
    columns: tuple[Column, ...]
    index: tuple[str, ...] = ()  # columns that only number the rows
    notes: tuple[str, ...] = ()
    is_table: bool = False  # scalars may be dimensions
    bank: Contents | None = None
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by column, the parts that do not have it
    parts: int = 1

    @property
    def names(self) -> list[str]:
        """Names of all columns."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """Return a column by its name."""
        return next(column for column in self.columns if column.name == name)

    def said(self, *, most: int = 8) -> str:
        """Return what is there, for an error."""
        words = [f"{column.name} {column.said}" for column in self.columns]
        return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "") or "nothing"


def kind_of(value: Any) -> Numbers:
    """Return what kind of values an array or tensor holds."""
    if isinstance(value, Tensor):
        return "float" if value.is_floating_point() else "other" if value.is_complex() else "integer"
    kind = value.dtype.kind
    known: dict[str, Numbers] = {"f": "float", "i": "integer", "u": "integer", "b": "integer"}
    return known.get(kind, "text" if kind in "USTO" else "other")


def of_array(name: str, value: Any, *, is_named: bool = True) -> Column:
    """Return the column of an array or a tensor that is at hand; of one without a name, `name` is only ours."""
    shape = tuple(value.shape)
    dtype = str(value.dtype).removeprefix("torch.")
    return Column(
        name=name,
        numbers=kind_of(value),
        axes=len(shape),
        rows=shape[0] if shape else None,
        said=f"{shape} {dtype}",
        load=lambda: value,
        is_named=is_named,
    )


def unreadable(name: str, said: str, problem: str) -> Column:
    """Return a column that is only there to be named."""

    def refuse() -> Any:
        raise DataError(f"the column {name} cannot be read", found=problem)

    return Column(name=name, numbers="other", axes=0, rows=None, said=said, load=refuse, problem=problem)


def put_together(parts: Sequence[Contents], *, name: str) -> Contents:
    """Return the parts of one set, one after the other. Parts must have the same fields and dimensions."""
    if len(parts) == 1:
        return parts[0]
    columns, lacking = [], {}
    for column in dict.fromkeys(name for part in parts for name in part.names):
        absent = tuple(part.name for part in parts if column not in part.names)
        if absent:
            lacking[column] = absent
        having = [part for part in parts if column in part.names]
        columns.append(_joined_column(column, having))
    indexes = [set(part.index) for part in parts]
    return Contents(
        name=name,
        columns=tuple(columns),
        index=tuple(set.intersection(*indexes)),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        is_table=all(part.is_table for part in parts),
        lacking=lacking,
        parts=len(parts),
    )


def _joined_column(name: str, parts: Sequence[Contents]) -> Column:
    each = [part.column(name) for part in parts]
    files = [part.name for part in parts]
    first = next((column for column in each if column.problem), each[0])
    rows = [column.rows for column in each]
    return Column(
        name=name,
        numbers="float" if {column.numbers for column in each} == {"float", "integer"} else first.numbers,
        axes=first.axes,
        rows=None if None in rows else sum(row for row in rows if row is not None),
        said=f"{first.said} in {len(parts)} parts",
        load=lambda: join([column.load() for column in each], files, name=name),
        sets=_joined_sets(each),
        problem=first.problem,
        is_named=first.is_named,
    )


def _joined_sets(each: Sequence[Column]) -> Callable[[], list[tuple[Any, ...]]] | None:
    found = [column.sets for column in each if column.sets is not None]
    return (lambda: [row for sets in found for row in sets()]) if len(found) == len(each) else None


def join(values: Sequence[Any], files: Sequence[str], *, name: str) -> Any:
    """Return arrays one after the other: vectors as one tensor, all else as one array."""
    if any(getattr(value, "ndim", 0) != getattr(values[0], "ndim", 0) for value in values):
        raise _unlike(values, files)
    if getattr(values[0], "ndim", 0) < 2:
        return np.concatenate([_array(name, value) for value in values])
    masks = [np.ma.getmaskarray(value) for value in values if isinstance(value, np.ma.MaskedArray)]
    if masks:
        return np.ma.concatenate([np.ma.asarray(value) for value in values])  # type: ignore[no-untyped-call]
    if all(kind_of(value) != "float" for value in values):
        if len({tuple(value.shape[1:]) for value in values}) > 1:
            raise _unlike(values, files)
        return np.concatenate([_array(name, value) for value in values])
    return join_tensors([to_floating(name, value) for value in values], files, dim=1 if name == "views" else 0)


def join_tensors(parts: Sequence[Tensor], files: Sequence[str], *, dim: int) -> Tensor:
    """Return the parts along one axis; theirs must agree in all others."""
    first = parts[0]
    dtype = first.dtype
    for part in parts:
        if part.ndim != first.ndim or _but(part, dim) != _but(first, dim):
            raise _unlike(parts, files)
        dtype = torch.promote_types(dtype, part.dtype)
    shape = [*first.shape]
    shape[dim] = sum(part.shape[dim] for part in parts)
    whole = large_tensor(shape, dtype)
    start = 0
    for part in parts:
        whole.narrow(dim, start, part.shape[dim]).copy_(part)
        start += part.shape[dim]
    return whole


def _unlike(values: Sequence[Any], files: Sequence[str]) -> DataError:
    odd = next(n for n, value in enumerate(values) if tuple(value.shape[1:]) != tuple(values[0].shape[1:]))
    found = f"{files[odd]} {tuple(values[odd].shape)}, {files[0]} {tuple(values[0].shape)}"
    hint = "select the parts by a pattern of names, such as part-*.npy; give labels separately"
    return DataError("the parts of a set differ in shape", found=found, hint=hint)


def _array(name: str, value: Any) -> Any:
    return value.numpy() if isinstance(value, Tensor) else to_array(name, value)


def _but(part: Tensor, dim: int) -> list[int]:
    return [size for axis, size in enumerate(part.shape) if axis != dim]
