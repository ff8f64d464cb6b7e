"""Which column of a container holds the vectors: the one named, the one there is, or one family of columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.core.errors import DataError, unknown_name
from repdiag.embeddings.sources.column_names import (
    DESCRIBES_A_ROW,
    FEATURE_NAMES,
    LABEL_NAMES,
    ROW_NAMES,
    VIEW_NAMES,
    Family,
    families,
    is_label_name,
    matching,
    only_family,
    shown,
)
from repdiag.embeddings.sources.contents import Column, Contents
from repdiag.embeddings.sources.vector_options import VectorOptions

_VECTOR_COLUMNS = "vectors are a list column named embedding, or a column of floating-point numbers for each dimension"
_OUTLYING = 1e3  # times the size of the other columns: no dimension of one space


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """The values of the vectors as they lie there, of which columns they are, and what is to be said of the choice."""

    values: Any
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()


def choose_vectors(found: Contents, options: VectorOptions) -> Vectors:
    """Return the vectors of a container; raises `DataError` where there are none, or several and none was named."""
    if options.column is not None:
        return _wanted(found, options.column)
    if len(found.columns) == 1 and found.columns[0].name == "features":
        return _one(found, found.columns[0])  # whatever it holds: what is wrong with it is said by the set
    candidates = [column for column in found.columns if _may_be_vectors(column)]
    if any(column.name.startswith("obsm/") for column in candidates):
        candidates = [column for column in candidates if column.name != "X"]
    named = [column for column in candidates if _is_usual(leaf(column.name).lower())]
    named += [column for column in found.columns if leaf(column.name).lower() in FEATURE_NAMES and _is_text(column)]
    if len(named) == 1:
        return _one(found, named[0])
    if len(named) > 1:
        raise _several(found, named)
    wide = _numeric_families(found)
    for kind, axes in (("float", 2), ("float", 3), ("integer", 2), ("integer", 3)):
        fitting = [column for column in candidates if column.numbers == kind and min(column.axes, 3) == axes]
        if len(fitting) > 1:
            fitting = [column for column in fitting if not _is_ragged(column)]
        if len(fitting) == 1 and not wide:
            return _one(found, fitting[0], said=True)
        if fitting and wide:
            raise _several(found, fitting, wide=wide)
        if len(fitting) > 1:
            raise _several(found, fitting)
    text = [column for column in found.columns if column.axes == 1 and _is_text(column) and _are_vectors(column)]
    if len(text) == 1:
        return _one(found, text[0], said=True)
    if found.is_table:
        return _of_scalars(found, wide)
    raise _none(found)


def _is_usual(name: str) -> bool:
    """Say whether vectors are usually called so; arr_1 is as good as arr_0."""
    return name in FEATURE_NAMES or (name.startswith("arr_") and name[4:].isdecimal())


def _none(found: Contents) -> DataError:
    why = "; ".join(f"{column.name}: {column.problem}" for column in found.columns if column.problem)
    said = found.said() + (f" ({why})" if why else "")
    hint = _VECTOR_COLUMNS if found.is_table else "name them features"
    return DataError(f"no vectors found in {found.name}", found=said, hint=hint)


def _several(found: Contents, columns: Sequence[Column], *, wide: Sequence[Family] = ()) -> DataError:
    words = [f"{column.name} {column.said}" for column in columns] + [family.said for family in wide]
    first = columns[0].name if columns else wide[0].pattern
    return DataError(
        f"several columns of {found.name} could be the vectors",
        found=shown(words),
        hint=f"choose one with --column, such as --column '{first}'",
    )


def leaf(name: str) -> str:
    """Return the last part of a name of nested arrays: embeddings of val/embeddings."""
    return name.rpartition("/")[2]


def _may_be_vectors(column: Column) -> bool:
    name = leaf(column.name).lower()
    numbers = column.axes > 1 and column.numbers in ("float", "integer") and not column.problem
    return numbers and not is_label_name(name) and name not in (*ROW_NAMES, *VIEW_NAMES)


def _is_text(column: Column) -> bool:
    return column.numbers == "text" and not column.problem


def _is_ragged(column: Column) -> bool:
    try:
        column.load()
    except DataError:
        return True
    return False


def _wanted(found: Contents, wanted: str) -> Vectors:
    names = matching(wanted, found.names) or [name for name in found.names if leaf(name) == wanted]
    if not names:
        raise unknown_name(f"column of {found.name}", wanted, found.names)
    columns = [found.column(name) for name in names]
    broken = next((column for column in columns if column.problem), None)
    if broken is not None:
        raise DataError(f"the column {broken.name} of {found.name} cannot be read", found=broken.problem)
    if len(columns) == 1 and columns[0].axes != 1:
        return _one(found, columns[0])
    if len(columns) == 1 and _is_text(columns[0]):
        return _one(found, columns[0])
    odd = [column.name for column in columns if column.axes != 1 or column.numbers not in ("float", "integer")]
    if odd:
        raise DataError(f"{wanted} names columns that are no numbers", found=shown(odd))
    return Vectors(values=_stacked(columns), names=tuple(names))


def _one(found: Contents, column: Column, *, said: bool = False) -> Vectors:
    values = _parsed(column) if _is_text(column) else column.load()
    if values.ndim == 0:
        raise DataError(f"{column.name} must have 2 axes, one vector per row", found=f"the single value {values}")
    notes = []
    if said or _is_text(column):
        how = ", which are text" if _is_text(column) else ""
        notes.append(f"the vectors are {column.name} of {found.name}{how}, the only ones in the file.")
    lacking = found.lacking.get(column.name)
    if lacking:
        raise DataError("some parts have no vectors", found=shown(lacking), hint="all of them must")
    return Vectors(values=values, names=(column.name,), notes=tuple(notes))


def _numeric_families(found: Contents) -> list[Family]:
    """Return the families of numeric columns of a table, labels and names of rows left aside."""
    if not found.is_table:
        return []
    names = [column.name for column in found.columns if _may_be_a_dimension(found, column)]
    return [family for family in families(names) if len(family.names) > 3 or family.names[0].endswith(("0", "1"))]


def _may_be_a_dimension(found: Contents, column: Column) -> bool:
    lower = column.name.lower()
    numbers = column.axes == 1 and column.numbers in ("float", "integer") and not column.problem
    return numbers and column.name not in found.index and lower not in (*LABEL_NAMES[:4], *LABEL_NAMES[5:], *ROW_NAMES)


def _of_scalars(found: Contents, wide: Sequence[Family]) -> Vectors:
    """Return a table's columns as dimensions: one family of names, else all that are floating point."""
    family = only_family(wide)
    if wide and family is None:
        raise _several(found, (), wide=wide)
    if family is not None:
        gap = f"; {family.gaps} numbers in between are missing" if family.gaps else ""
        note = f"the dimensions are the {len(family.names)} columns {family.said} of {found.name}{gap}."
        return Vectors(
            values=_stacked([found.column(name) for name in family.names]), names=family.names, notes=(note,)
        )
    columns = [one for one in found.columns if one.numbers == "float" and _may_be_a_dimension(found, one)]
    if not columns:
        raise _none(found)
    return _without_family(found, columns)


def _without_family(found: Contents, columns: Sequence[Column]) -> Vectors:
    names = [column.name for column in columns]
    values = _stacked(columns)
    odd = [name for name in names if name.lower() in DESCRIBES_A_ROW]
    sizes = np.sqrt(np.nanmean(values.astype(np.float64) ** 2, axis=0))
    usual = max(float(np.median(sizes)), 1e-300) if len(sizes) else 1.0
    odd += [name for name, size in zip(names, sizes, strict=True) if size > _OUTLYING * usual]
    if odd and len(names) > 1:
        kept = [name for name in names if name not in odd] or names
        raise DataError(
            f"the floating-point columns of {found.name} are not all dimensions of one space",
            found=f"{shown(names)}; what are {shown(list(dict.fromkeys(odd)))}?",
            hint=f"name the dimensions: --column '{','.join(kept[:4])}{',...' if len(kept) > 4 else ''}', or a pattern",
        )
    note = (
        f"every floating-point column of {found.name} is a dimension: {shown(names)} (--column 'a,b,c' chooses others)."
    )
    return Vectors(values=values, names=tuple(names), notes=(note,))


def _stacked(columns: Sequence[Column]) -> Any:
    loaded = [column.load() for column in columns]
    arrays = [one.numpy() if isinstance(one, Tensor) else np.asarray(one) for one in loaded]
    return np.stack(arrays, axis=1)


def _are_vectors(column: Column) -> bool:
    """Say whether texts are vectors: [0.1, 0.2]."""
    values = np.asarray(column.load(), dtype=object)
    first = next((str(value).strip() for value in values if value), "")
    return first.startswith("[") and first.endswith("]") and any(sign.isdigit() for sign in first)


def _parsed(column: Column) -> Any:
    """Return vectors that a text file keeps as text, as JSON or as numpy prints them; rows without one are masked."""
    texts = [None if value is None or not str(value).strip() else str(value) for value in column.load()]
    rows: list[list[float] | None] = []
    for place, text in enumerate(texts):
        if text is not None and "..." in text:
            hint = "numpy shortens what it prints: save the arrays themselves, to parquet or npz"
            raise DataError(f"the vectors of {column.name} were cut off when they were written", found=text, hint=hint)
        try:
            rows.append(None if text is None else _numbers(text))
        except ValueError as error:
            where = f"row {place}: {text[:60] if text else ''}"
            raise DataError(f"the vectors of {column.name} are no lists of numbers", found=where) from error
    lengths = {len(row) for row in rows if row is not None}
    if len(lengths) != 1:
        raise DataError(f"the rows of {column.name} are not of one length", found=f"lengths {sorted(lengths)[:5]}")
    missing = np.asarray([row is None for row in rows])
    blank = [0.0] * lengths.pop()
    values = np.asarray([row or blank for row in rows], dtype=np.float64)
    return np.ma.MaskedArray(values, mask=np.broadcast_to(missing[:, None], values.shape)) if missing.any() else values


def _numbers(text: str) -> list[float]:
    try:
        return [float(value) for value in json.loads(text)]
    except (ValueError, TypeError):
        return [float(value) for value in text.strip().strip("[]()").replace(",", " ").split()]
