"""The one door into `EmbeddingSet`: arrays, tensors, tables, a stored folder, a file or an address of vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.embeddings.sources.label_conflicts import over_own
from repdiag.embeddings.sources.labels import Labels, read_labels
from repdiag.embeddings.sources.objects import is_table
from repdiag.embeddings.sources.read_vectors import place, read_vectors, sidecar
from repdiag.embeddings.sources.vector_options import VectorOptions
from repdiag.embeddings.store import is_stored, load_embedding_set


def as_embedding_set(
    source: Any,
    *,
    labels: Any = None,
    groups: Any = None,
    options: VectorOptions | None = None,
    **chosen: Any,
) -> EmbeddingSet:
    """Return `source` as an `EmbeddingSet`; an `EmbeddingSet` comes back unchanged.

    Accepts an `EmbeddingSet`, an array or tensor [N, D], a frame or another table, AnnData, a dictionary of arrays, a
    stored folder, or a path or an address (s3://, gs://, hf://, https://) of a file, a folder of parts or a pattern of
    names. `labels` and `groups` may be an array [N], a path, or a table; rows that have names on both sides are joined
    by them. `options` (or `column=`, `label_column=`, `group_column=`, `tokens=`, `quantised=`, `unlabelled=`,
    `relabel=`) set how to read the source. `.provenance.reading.notes` list what was chosen, converted or left out.

    Raises `DataError` if the source has no vectors or several candidates (the error lists its content), and if labels
    or row names contradict each other.

    Example:
        >>> import repdiag
        >>> found = repdiag.as_embedding_set({"openai": [[1, 0], [0, 1], [0, 0]], "label": ["a", "NA", "b"]})
        >>> tuple(found.features.shape), found.labels.tolist()
        ((2, 2), [0, -1])
        >>> found.provenance.reading.notes[-1]
        '1 row was left out, 1 all zero: 2.'
    """
    options = replace(options or VectorOptions(), **chosen)
    if isinstance(source, EmbeddingSet):
        return source if labels is None and groups is None else _with_beside(source, labels, groups, options)
    if isinstance(source, str | Path) and is_stored(Path(source)):
        return _with_beside(load_embedding_set(Path(source)), labels, groups, options)
    if isinstance(source, str | Path) or is_table(source):
        return read_vectors(source, labels=labels, groups=groups, options=options)
    return _of_array(source, labels, groups, options)


def _of_array(source: Any, labels: Any, groups: Any, options: VectorOptions) -> EmbeddingSet:
    """Return an array as it is, every row of it: other arrays of the caller are aligned with it."""
    from repdiag.embeddings.sources.quantised import as_numbers

    if getattr(source, "ndim", 0) > 2 and (options.tokens is not None or 1 in tuple(source.shape)[1:]):
        return read_vectors(source, labels=labels, groups=groups, options=options)
    bare = EmbeddingSet(features=source)
    values: Any = source
    notes: tuple[str, ...] = ()
    if hasattr(source, "dtype") and bare.features.ndim == 2:
        values, notes = as_numbers(source, options, lambda _: None, name="the vectors")
    found = bare if values is source else EmbeddingSet(features=values)
    if notes:
        reading = found.provenance.reading.with_notes(*notes)
        found = replace(found, provenance=replace(found.provenance, reading=reading))
    return _with_beside(found, labels, groups, options)


def _with_beside(found: EmbeddingSet, labels: Any, groups: Any, options: VectorOptions) -> EmbeddingSet:
    """Return the set with the labels and groups that came beside it, joined by names of rows where both have some."""
    reading = found.provenance.reading
    ids: Any = found.row_ids
    keys = {} if is_numbered(found) else {"row_ids": ids.astype(str)}
    if labels is not None:
        beside = sidecar(labels, options, what="labels")
        read = read_labels(beside.values, options)
        joined = place(keys, beside, rows=len(found), name="the vectors")
        taken = read.take(joined.rows)
        said: tuple[str, ...] = ()
        if found.labels is not None:
            before = Labels(numbers=found.labels.cpu().numpy(), class_names=found.class_names)
            from_file = isinstance(labels, str | Path)
            said = over_own(before, taken, options, names=("the vectors", beside.name), is_file=from_file)
        reading = reading.with_notes(*taken.notes, *joined.notes, *said)
        own: dict[str, Any] = {"labels": taken.numbers, "label_matrix": taken.matrix}
        found = replace(found, **own, class_names=taken.class_names)
    if groups is not None:
        beside = sidecar(groups, options, what="groups")
        joined = place(keys, beside, rows=len(found), name="the vectors")
        numbers: Any = np.unique(np.asarray(beside.values)[joined.rows].astype(str), return_inverse=True)[1]
        reading = reading.with_notes(*joined.notes)
        found = replace(found, groups=numbers.reshape(-1))
    return replace(found, provenance=replace(found.provenance, reading=reading))


def is_numbered(found: EmbeddingSet) -> bool:
    """Say whether the rows of a set are only numbered in their order."""
    ids: Any = found.row_ids
    return ids.dtype.kind in "iu" and bool((ids == np.arange(len(found))).all())
