"""Which columns of a container are the vectors, the labels, the names of the rows: what is unambiguous is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repdiag.core.errors import DataError, unknown_name
from repdiag.embeddings.sources.choose_vectors import Vectors, choose_vectors, leaf
from repdiag.embeddings.sources.column_names import (
    GROUP_NAMES,
    INDEX_NAMES,
    LABEL_NAMES,
    ROW_NAMES,
    VIEW_NAMES,
    matching,
    shown,
    split_of,
    without_split,
)
from repdiag.embeddings.sources.contents import Column, Contents
from repdiag.embeddings.sources.vector_options import VectorOptions

Names = NDArray[Any]
_LEFT_OUT_SHOWN = 8


@dataclass(kw_only=True)
class Chosen:
    """What was chosen of a container: arrays as they lie there, names of rows by the column they come from."""

    vectors: Vectors
    labels: Any = None
    views: Any = None
    groups: Any = None
    keys: Mapping[str, Names] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """One value a row out of a file beside the vectors, with the names of its rows where it has some.

    `spare` holds other columns: names of rows if those of the vectors are the same.
    """

    name: str
    what: str  # labels or groups
    column: str
    values: Any
    keys: Mapping[str, Names]
    spare: Mapping[str, Names] = field(default_factory=dict)


def choose(found: Contents, options: VectorOptions, *, labels_beside: bool = False) -> Chosen:
    """Return what a container holds for an embedding set; raises `DataError` where that is not unambiguous.

    With `labels_beside` the container's own labels are taken as well: they must not contradict those beside it.
    """
    vectors = choose_vectors(found, options)
    rows = len(vectors.values)
    used = {*vectors.names, *found.index}
    chosen = Chosen(vectors=vectors, notes=[*found.notes, *vectors.notes])
    wanted = None if labels_beside and _find(found, options.label_column) is None else options.label_column
    label = _labels(found, wanted, vectors=vectors, used=used)
    if label is not None and label.name == "arr_1" and wanted is None:
        chosen.notes.append(f"the labels are the second array of {found.name}, which has no name.")
    if label is not None:
        chosen.labels = values_of(label)
        used.add(label.name)
        _expect_in_all_parts(found, label.name, "labels")
    if options.group_column is not None:
        group = _find(found, options.group_column)
        if group is not None:
            chosen.groups = group.load()
            used.add(group.name)
    for column in found.columns:
        if column.name.lower() in VIEW_NAMES and column.axes == 3 and column.name not in used:
            chosen.views = column.load()
            used.add(column.name)
    chosen.keys = keys_of(found, rows=rows, split=next(filter(None, map(split_of, vectors.names)), None))
    for name in chosen.keys:
        _expect_in_all_parts(found, name, "row names")
    left = [
        column
        for column in found.columns
        if column.name not in used and column.name not in chosen.keys and column.name.lower() not in INDEX_NAMES
    ]
    if left:
        chosen.notes.append(_left_out(found, left, labelled=label is not None or labels_beside))
        chosen.notes += _transposed(left, np.shape(vectors.values))
    return chosen


def _transposed(left: Sequence[Column], shape: tuple[int, ...]) -> list[str]:
    """Return a question where whole numbers that were left out are as many as the vectors have dimensions."""
    if len(shape) != 2 or shape[0] >= shape[1]:
        return []
    ones = [column.name for column in left if (column.numbers, column.rows) == ("integer", shape[1])]
    if not ones:
        return []
    return [f"{ones[0]} has {shape[1]} entries, as many as there are dimensions: are the vectors {shape} transposed?"]


def _left_out(found: Contents, left: Sequence[Column], *, labelled: bool) -> str:
    """Return what was not used, in one sentence; why, where a column cannot be read at all."""
    words = [f"{column.name} ({column.problem})" if column.problem else column.name for column in left]
    said = f"left out of {found.name}: {shown(words, most=_LEFT_OUT_SHOWN)}"
    scalars = [column for column in left if column.axes == 1 and not column.problem]
    hint = f" (labels among them? --label-column {scalars[0].name})" if scalars and not labelled else ""
    return f"{said}{hint}."


def choose_beside(found: Contents, wanted: str | None, *, what: str) -> Sidecar:
    """Return the labels or groups of a file: the column named, one that is usually called so, or the only one."""
    names = LABEL_NAMES if what == "labels" else (*GROUP_NAMES, *LABEL_NAMES)
    column = _named(found, wanted) if wanted is not None else _by_names(found, names)
    keys = keys_of(found, rows=None)
    if column is None:
        free = [one for one in found.columns if one.name not in (*keys, *found.index) and not one.problem]
        free = free or ([] if len(found.columns) != 1 else list(found.columns))
        if len(free) != 1:
            raise _no_column(found, what)
        column = free[0]
    if found.parts != 1:
        _expect_in_all_parts(found, column.name, what)
    keys = {name: values for name, values in keys.items() if name != column.name}
    spare = {} if keys else spare_names(found, besides=(column.name,))
    return Sidecar(name=found.name, what=what, column=column.name, values=values_of(column), keys=keys, spare=spare)


def _no_column(found: Contents, what: str) -> DataError:
    option = "--label-column" if what == "labels" else "--group-column"
    names = shown([column.name for column in found.columns])
    why = "; ".join(f"{one.name}: {one.problem}" for one in found.columns if one.problem)
    said = f"{names}; {why}" if why else names
    return DataError(
        f"no column of {found.name} is named {what}",
        found=said or "nothing",
        hint=f"name one {what}, or choose with {option}",
    )


def values_of(column: Column) -> Any:
    """Return one value a row; of lists of unlike length, one tuple a row."""
    if column.sets is not None and column.numbers == "text":
        return column.sets()
    try:
        return column.load()
    except DataError:
        if column.sets is None:
            raise
        return column.sets()


def spare_names(found: Contents, *, besides: Sequence[str] = ()) -> dict[str, Names]:
    """Return the columns of text or whole numbers that no usual name marks as names, with another value in each row."""
    texts = {
        column.name: _names(column.load())
        for column in found.columns
        if column.name not in besides
        and column.numbers in ("text", "integer")
        and column.axes == 1
        and not column.problem
    }
    return {name: values for name, values in texts.items() if len(np.unique(values.astype(str))) == len(values)}


def keys_of(found: Contents, *, rows: int | None, split: str | None = None) -> dict[str, Names]:
    """Return the columns that name rows, in the order of how usual that is.

    `train_row_ids` names the rows of `train_features` alone: where the vectors are of a `split`, columns of that split
    come first, and where they are of none, columns of a split name nothing.
    """
    keys: dict[str, Names] = {}
    by_name = {leaf(column.name).lower(): column for column in reversed(found.columns)}
    of_this = [column for column in found.columns if split is not None and split_of(column.name) == split]
    by_name |= {without_split(column.name): column for column in of_this}
    for name in ROW_NAMES:
        column = by_name.get(name)
        if column is None or column.axes != 1 or column.problem or column.numbers not in ("text", "integer"):
            continue
        if rows is None or column.rows is None or column.rows == rows:
            names = _names(column.load())
            rows_counted = np.arange(len(names)).astype(str)
            counted = name in INDEX_NAMES and bool((names.astype(str) == rows_counted).all())
            if not counted:  # what a frame writes beside its rows is no name of them
                keys[column.name] = names
    return keys


def _names(values: Any) -> Names:
    array = values.numpy() if hasattr(values, "numpy") else np.asarray(values)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "O":
        array = np.asarray(["" if value is None else str(value) for value in array], dtype=str)
    return array


def _labels(found: Contents, wanted: str | None, *, vectors: Vectors, used: set[str]) -> Column | None:
    if wanted is not None:
        return _named(found, wanted)
    rows, split = len(vectors.values), split_of(vectors.names[0])
    named = [column for column in found.columns if column.name not in used and not column.problem]
    here = [column for column in named if split_of(column.name) in (None, split) or split is None]
    label = _by_names(Contents(name=found.name, columns=tuple(here)), LABEL_NAMES, split=split, rows=rows)
    if label is not None:
        return label
    # The second of two arrays that np.savez, or a tuple, left without names.
    second = next((column for column in named if column.name == "arr_1"), None)
    unnamed = "arr_0" in vectors.names and second is not None and second.axes == 1
    return second if unnamed and second is not None and second.numbers in ("integer", "text") else None


def _by_names(
    found: Contents, names: Sequence[str], *, split: str | None = None, rows: int | None = None
) -> Column | None:
    """Return the column that is called by one of the names; several that say different things are asked about."""
    by_name: dict[str, Column] = {}
    for column in found.columns:
        own = leaf(column.name).lower()
        called = own if own in names else without_split(own)
        if called in names and column.axes in (1, 2) and not column.problem:
            better = split is not None and split_of(column.name) == split
            if called not in by_name or better:
                by_name[called] = column
    fitting = [by_name[name] for name in names if name in by_name]
    if rows is not None and len(fitting) > 1:
        fitting = [column for column in fitting if column.rows in (None, rows)] or fitting
    if len(fitting) > 1:
        _expect_agreement(found, fitting)
    return fitting[0] if fitting else None


def _expect_agreement(found: Contents, columns: Sequence[Column]) -> None:
    from repdiag.embeddings.sources.labels import contradictions

    first = columns[0]
    for other in columns[1:]:
        if first.axes != 1 or other.axes != 1:
            continue
        rows = contradictions(first.load(), other.load())
        if len(rows):
            names = ", ".join(column.name for column in columns)
            said = f"{names}; {first.name} and {other.name} differ in {len(rows)} rows"
            hint = f"choose one with --label-column, such as --label-column {first.name}"
            raise DataError(f"several columns of {found.name} could be the labels", found=said, hint=hint)


def _find(found: Contents, wanted: str | None) -> Column | None:
    if wanted is None:
        return None
    names = matching(wanted, found.names) or [name for name in found.names if leaf(name).lower() == wanted.lower()]
    return found.column(names[0]) if len(names) == 1 else None


def _named(found: Contents, wanted: str) -> Column:
    column = _find(found, wanted)
    if column is None:
        raise unknown_name(f"column of {found.name}", wanted, found.names)
    if column.problem:
        raise DataError(f"the column {column.name} of {found.name} cannot be read", found=column.problem)
    return column


def _expect_in_all_parts(found: Contents, name: str, what: str) -> None:
    lacking = found.lacking.get(name)
    if lacking:
        raise DataError(f"some parts have no {what}", found=", ".join(lacking[:5]), hint="all or none of them must")
