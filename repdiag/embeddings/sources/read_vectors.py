"""`read_vectors`: from a source of vectors, and labels and groups beside it, to an `EmbeddingSet` with its record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.arrays import to_array, to_floating
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError, MetricError
from repdiag.core.provenance import Provenance
from repdiag.core.reading_notes import ReadingNotes
from repdiag.embeddings.sources.choose import Chosen, Sidecar, choose, choose_beside, spare_names
from repdiag.embeddings.sources.column_names import VIEW_NAMES
from repdiag.embeddings.sources.contents import Contents, of_array
from repdiag.embeddings.sources.counted_dimensions import note_counted_dimensions
from repdiag.embeddings.sources.joining import Join, join, join_if_all
from repdiag.embeddings.sources.label_conflicts import over_own
from repdiag.embeddings.sources.labels import Labels, read_labels
from repdiag.embeddings.sources.locations import fetched, is_remote
from repdiag.embeddings.sources.objects import open_object
from repdiag.embeddings.sources.open_source import open_source
from repdiag.embeddings.sources.quantised import as_numbers
from repdiag.embeddings.sources.rows_without_direction import rows_to_keep
from repdiag.embeddings.sources.tokens import Flat, one_vector_each
from repdiag.embeddings.sources.vector_options import VectorOptions

Integers = NDArray[np.int64]
Spare = Callable[[], Mapping[str, Any]]


def read_vectors(
    source: Any, *, labels: Any = None, groups: Any = None, options: VectorOptions | None = None
) -> EmbeddingSet:
    """Return the vectors of a path, an address or a table as a set; `labels` and `groups` may come beside it.

    What was chosen, converted or left out is in `provenance.reading` of the set. Raises `DataError` for what is not
    unambiguous: several columns that could be the vectors, names of rows that differ, labels that contradict.
    """
    options = options or VectorOptions()
    with _opened(source) as found:
        return _read(found, labels, groups, options)


def bank_beside(source: Any, *, options: VectorOptions | None = None) -> EmbeddingSet | None:
    """Return the train set that a folder holds beside its rows; None where it holds none."""
    path = Path(source) if isinstance(source, str | Path) else None
    if path is None or is_remote(source) or not path.is_dir():
        return None
    with _opened(source) as found:
        return None if found.bank is None else _read(found.bank, None, None, options or VectorOptions())


def _opened(source: Any) -> AbstractContextManager[Contents]:
    if isinstance(source, str | Path):
        return _Remote(source) if is_remote(source) else nullcontext(open_source(Path(source).expanduser()))
    found = open_object(source)
    return nullcontext(found if found is not None else Contents(name="the array", columns=(_array(source),)))


def _array(source: Any) -> Any:
    value = source.detach() if isinstance(source, Tensor) else to_array("features", source)
    return of_array("features", value)


class _Remote(AbstractContextManager[Contents]):
    """The contents of an address, for as long as they are read."""

    def __init__(self, source: str | Path) -> None:
        self._copy = fetched(source)

    def __enter__(self) -> Contents:
        return open_source(self._copy.__enter__())

    def __exit__(self, *error: Any) -> None:
        self._copy.__exit__(*error)


def _read(found: Contents, labels: Any, groups: Any, options: VectorOptions) -> EmbeddingSet:
    chosen = choose(found, options, labels_beside=labels is not None)
    called = chosen.vectors.names[0] if len(chosen.vectors.names) == 1 else "the vectors"
    notes = list(chosen.notes)
    values, missing = _unmasked(chosen.vectors.values)
    flat = one_vector_each(values, options, name=called) if values.ndim > 2 else Flat(values=values)
    vectors, said = as_numbers(flat.values, options, _beside(found), name=called) if _is_flat(flat) else (values, ())
    notes += [*flat.notes, *said]
    if len(chosen.vectors.names) == 1 and flat.tokens == 1:
        notes += note_counted_dimensions(vectors)
    given = _labels(found, chosen, labels, options=options, notes=notes)
    together = _groups(found, chosen, groups, options=options, notes=notes)
    row_ids, row_names = _row_ids(found, chosen, notes)
    if flat.tokens > 1:
        rows = np.repeat(np.arange(len(values)), flat.tokens)
        given = None if given is None else given.take(rows)
        together = rows if together is None else together[rows]
        missing = missing[rows]
        row_ids = (
            None if row_ids is None else np.asarray([f"{row_ids[row]}/{n % flat.tokens}" for n, row in enumerate(rows)])
        )
    whole = EmbeddingSet(
        features=to_floating("features", vectors),
        labels=None if given is None else _tensor(given.numbers),
        label_matrix=None if given is None else _tensor(given.matrix),
        class_names=None if given is None else given.class_names,
        views=chosen.views,
        groups=_tensor(together),
        row_ids=row_ids,
    )
    kept = rows_to_keep(whole.features, missing)
    left_out: tuple[str, ...] = ()
    if kept.rows is not None:
        assert whole.row_ids is not None
        left_out = tuple(str(row) for row in np.delete(whole.row_ids, kept.rows.numpy()))
        whole = whole.select(kept.rows)
        notes.append(kept.said(left_out))
    record = ReadingNotes(row_names=row_names, left_out=left_out).with_notes(*notes)
    return replace(whole, provenance=Provenance(reading=record))


def _tensor(values: NDArray[Any] | None) -> Tensor | None:
    return None if values is None else torch.from_numpy(values)


def _is_flat(flat: Flat) -> bool:
    return bool(flat.values.ndim == 2)


def _unmasked(values: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Return values and which rows [N] have none."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values).reshape(len(values), -1)
        return values.data, np.asarray(mask.any(axis=1))
    rows = len(values) if getattr(values, "ndim", 0) else 0
    return values, np.zeros(rows, dtype=np.bool_)


def _beside(found: Contents) -> Callable[[str], Any]:
    def beside(name: str) -> Any:
        return next((one.load() for one in found.columns if one.name.lower() == name and not one.problem), None)

    return beside


def _labels(found: Contents, chosen: Chosen, labels: Any, *, options: VectorOptions, notes: list[str]) -> Labels | None:
    """Return the labels of the rows: those beside the vectors, which must not contradict those among them."""
    rows = len(chosen.vectors.values)
    own = None if chosen.labels is None else read_labels(chosen.labels, options)
    if labels is None:
        if own is not None:
            notes += own.notes
        return own
    beside = sidecar(labels, options, what="labels")
    read = read_labels(beside.values, options)
    joined = place(chosen.keys, beside, rows=rows, name=found.name, spare=_spare(found, chosen))
    notes += [*read.notes, *joined.notes]
    read = read.take(joined.rows)
    if own is not None:
        from_file = isinstance(labels, str | Path)
        notes += over_own(own, read, options, names=(found.name, beside.name), is_file=from_file)
    return read


def _spare(found: Contents, chosen: Chosen) -> Spare:
    return lambda: spare_names(found, besides=chosen.vectors.names)


def _groups(
    found: Contents, chosen: Chosen, groups: Any, *, options: VectorOptions, notes: list[str]
) -> Integers | None:
    """Return the number of each row's group, as text or numbers name them."""
    if groups is None:
        values = chosen.groups
        if values is None:
            return None
    else:
        beside = sidecar(groups, options, what="groups")
        rows = len(chosen.vectors.values)
        joined = place(chosen.keys, beside, rows=rows, name=found.name, spare=_spare(found, chosen))
        notes += joined.notes
        values = np.asarray(beside.values)[joined.rows]
    array = values.numpy() if isinstance(values, Tensor) else np.asarray(values)
    texts = array.astype(str) if array.dtype.kind == "O" else array
    return np.unique(texts, return_inverse=True)[1].reshape(-1).astype(np.int64)


def sidecar(values: Any, options: VectorOptions, *, what: str) -> Sidecar:
    """Return one value a row out of a file, a table or an array."""
    wanted = options.label_column if what == "labels" else options.group_column
    if isinstance(values, str | Path):
        with _opened(values) as found:
            return choose_beside(found, wanted, what=what)
    named = _of_series(values, what)
    if named is not None:
        return named
    table = open_object(values)
    if table is not None:
        return choose_beside(table, wanted, what=what)
    keys: Mapping[str, Any] = {}
    return Sidecar(name=f"the {what}", what=what, column=what, values=values, keys=keys)


def _of_series(values: Any, what: str) -> Sidecar | None:
    """Return a pandas series, whose index names its rows where it is more than their numbers."""
    if type(values).__module__.partition(".")[0] != "pandas" or type(values).__name__ != "Series":
        return None
    import pandas as pd

    keys = {} if isinstance(values.index, pd.RangeIndex) else {"index": values.index.to_numpy()}
    return Sidecar(name=f"the {what}", what=what, column=what, values=values.to_numpy(dtype=object), keys=keys)


def place(keys: Mapping[str, Any], beside: Sidecar, *, rows: int, name: str, spare: Spare | None = None) -> Join:
    """Return where the values of each row lie: by names where both sides have some, else by order.

    `spare` gives columns of the vectors that are names only if all of them are found beside.
    """
    found = join(keys, beside.keys, names=(name, beside.name))
    there = beside.keys or beside.spare
    if found is None and there:
        found = join_if_all(keys or (spare() if spare else {}), there, names=(name, beside.name))
    if found is not None:
        return found
    count = len(beside.values)
    if count != rows:
        columns = f"; its columns: {', '.join((*beside.keys, beside.column))}" if beside.keys else ""
        if count == rows + 1 and isinstance(beside.values, np.ndarray) and beside.values.dtype.kind in "OUS":
            first = f"{count} lines, {rows} rows, the first line is {str(beside.values[0])!r}"
            hint = "if that is a heading, name it label"
            raise DataError(f"{beside.name} has one line more than the vectors have rows", found=first, hint=hint)
        hint = "give as many as there are rows, in their order, or name the rows in both files (id, path)"
        raise MetricError(_wrong_count(beside, rows), found=f"{count} entries{columns}", hint=hint)
    notes: tuple[str, ...] = ()
    if keys or beside.keys:
        named, unnamed = (name, beside.name) if keys else (beside.name, name)
        column = next(iter(keys or beside.keys))
        notes = (f"{named} names its rows ({column}), {unnamed} does not: they were joined in their order.",)
    return Join(rows=np.arange(rows), by="order", notes=notes)


def _wrong_count(beside: Sidecar, rows: int) -> str:
    if beside.what == "groups":
        return f"groups must name one group for every row, of which there are {rows}"
    return f"labels must have one entry for each of the {rows} rows"


def _row_ids(found: Contents, chosen: Chosen, notes: list[str]) -> tuple[Any, str | None]:
    """Return the first column of names in which each row has its own, and where it comes from."""
    for column, names in chosen.keys.items():
        if len(np.unique(names)) == len(names):
            return names, f"{column} of {found.name}"
    for column, names in chosen.keys.items():
        count = len(names) - len(np.unique(names))
        notes.append(f"{column} of {found.name} does not name rows: {count} of its values are duplicates.")
    return None, None


def views_in(source: str | Path, *, rows: int) -> list[Tensor] | None:
    """Return the views of a file that holds them as one array [V, N, D]; None for a file of one set of vectors."""
    with _opened(source) as found:
        for column in found.columns:
            alone = len([one for one in found.columns if one.axes > 1]) == 1 or column.name.lower() in VIEW_NAMES
            if column.axes == 3 and column.numbers == "float" and alone:
                views = to_floating("views", column.load())
                return list(views) if views.shape[1] == rows else None
    return None
