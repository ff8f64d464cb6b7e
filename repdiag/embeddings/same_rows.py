"""Two encoders on the same rows: put into one order by their names, and refused where rows or labels contradict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError, MetricError
from repdiag.embeddings.as_embedding_set import is_numbered
from repdiag.embeddings.sources.joining import join
from repdiag.embeddings.sources.labels import Labels, expect_agreement

_NO_NAMES = (
    "neither {first} nor {second} names its rows, and one of them has no labels: they were assumed to be in the "
    "same order."
)


def on_same_rows(first: EmbeddingSet, second: EmbeddingSet, *, names: tuple[str, str]) -> EmbeddingSet:
    """Return the second encoder's set with its rows in the order of the first's.

    Rows are matched by `row_ids`. Raises `MetricError` where these name other rows, with how many and the first few,
    and `DataError` where both sets have labels and these contradict each other.
    """
    first_ids, second_ids = _ids(first), _ids(second)
    found = second
    if len(first_ids) != len(second_ids) or not bool((first_ids == second_ids).all()):
        found = second.select(_order(first, second, names=names))
    labels = [_labels(one) for one in (first, found)]
    if labels[0] is not None and labels[1] is not None:
        expect_agreement(labels[0], labels[1], what=f"{names[0]} and {names[1]}", rows=first_ids.tolist())
    elif is_numbered(first) and is_numbered(second) and first.provenance.checkpoint == "unknown":
        note = _NO_NAMES.format(first=names[0], second=names[1])
        reading = found.provenance.reading.with_notes(note)
        found = replace(found, provenance=replace(found.provenance, reading=reading))
    return found


def common_rows(first: EmbeddingSet, second: EmbeddingSet) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return both sets without the rows that reading left out of the other: those that are all zero there."""
    left_out = [set(one.provenance.reading.left_out) for one in (first, second)]
    if not left_out[0] and not left_out[1]:
        return first, second
    return _without(first, left_out[1]), _without(second, left_out[0])


def in_order_of_names(found: EmbeddingSet) -> EmbeddingSet:
    """Return the set with its rows in the order of their names, so that no value depends on the order of a file.

    Rows that are only numbered stay as they are.
    """
    if is_numbered(found):
        return found
    ids = _ids(found)
    order = np.argsort(ids, kind="stable")
    return found if bool((order == np.arange(len(order))).all()) else found.select(order)


def _without(found: EmbeddingSet, names: set[str]) -> EmbeddingSet:
    keep = np.asarray([str(row) not in names for row in _ids(found).tolist()], dtype=np.bool_)
    if bool(keep.all()):
        return found
    note = f"{int((~keep).sum())} rows were left out because the other set left them out."
    reading = found.provenance.reading.with_notes(note)
    return replace(found.select(keep), provenance=replace(found.provenance, reading=reading))


def _ids(found: EmbeddingSet) -> NDArray[Any]:
    assert found.row_ids is not None
    return found.row_ids


def _labels(found: EmbeddingSet) -> Labels | None:
    if found.labels is None:
        return None
    labels: Tensor = found.labels
    return Labels(numbers=labels.cpu().numpy(), class_names=found.class_names)


def _joined(mine: NDArray[Any], its: NDArray[Any], *, names: tuple[str, str]) -> NDArray[np.int64] | None:
    """Return where the rows lie, each once, names being compared as they are or without folders; None where not so."""
    try:
        found = join({"rows": mine}, {"rows": its}, names=names)
    except DataError:
        return None
    whole = found is not None and len(mine) == len(its) == len(np.unique(found.rows))
    return found.rows if found is not None and whole else None


def _order(first: EmbeddingSet, second: EmbeddingSet, *, names: tuple[str, str]) -> NDArray[np.int64]:
    """Return the places of the first set's rows in the second."""
    mine, its = (_ids(one).astype(str) for one in (first, second))
    numbered = [is_numbered(one) and one.provenance.reading.row_names is None for one in (first, second)]
    if numbered[0] != numbered[1]:
        unnamed, named = (names[0], names[1]) if numbered[0] else (names[1], names[0])
        raise MetricError(
            f"{names[0]} and {names[1]} were not read on the same rows",
            found=f"{len(mine)} and {len(its)} rows; names of rows in {named}, only their numbers in {unnamed}",
            hint="give both the same row names (a column id or path)",
        )
    found = _joined(mine, its, names=names)
    if found is not None:
        return found
    order = np.argsort(its, kind="stable")
    ordered = its[order]
    spots = np.searchsorted(ordered, mine).clip(max=max(len(ordered) - 1, 0))
    missing = mine[ordered[spots] != mine] if len(ordered) else mine
    if len(missing) or len(mine) != len(its):
        absent = missing if len(missing) else its[~np.isin(its, mine)]
        where = names[1] if len(missing) else names[0]
        raise MetricError(
            f"{names[0]} and {names[1]} were not read on the same rows",
            found=f"{len(mine)} and {len(its)} rows; {len(absent)} not in {where}: {', '.join(absent[:5].tolist())}",
            hint="give both the same rows: leave out rows that only one of them has",
        )
    if len(np.unique(mine)) < len(mine):
        raise MetricError(f"{names[0]} has duplicate row names, and is in another order than {names[1]}")
    return np.asarray(order[spots], dtype=np.int64)
