"""Everything that an analysis of vectors reads: the rows, their views, their bank, other encoders on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import DataError, UsageError
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.bank_classes import with_classes_of
from repdiag.embeddings.same_rows import common_rows, in_order_of_names, on_same_rows
from repdiag.embeddings.sources.read_vectors import bank_beside, views_in
from repdiag.embeddings.sources.vector_options import VectorOptions


@dataclass(frozen=True, kw_only=True)
class VectorInputs:
    """Sets that fit one another, and what was done so that they do: every sentence once."""

    embeddings: EmbeddingSet
    bank: EmbeddingSet | None = None
    others: Mapping[str, EmbeddingSet] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen, converted, joined or left out, of all sources."""
        sets = (
            ("", self.embeddings),
            ("bank: ", self.bank),
            *((f"{name}: ", one) for name, one in self.others.items()),
        )
        said = [f"{before}{note}" for before, one in sets if one is not None for note in one.provenance.reading.notes]
        return tuple(dict.fromkeys(said))


def read_inputs(
    source: Any,
    *,
    labels: Any = None,
    groups: Any = None,
    bank: Any = None,
    bank_labels: Any = None,
    views: Sequence[Any] = (),
    others: Mapping[str, Any] | None = None,
    options: VectorOptions | None = None,
) -> VectorInputs:
    """Return the rows of a source with all that comes beside them.

    Rows that have names come in their order, so that the order of a file changes no value; those of views and of other
    encoders are put into the same order. A folder that holds a train set beside its rows gives it as the bank. Raises
    `DataError` or `MetricError` where the rows are not the same, or their labels contradict.
    """
    told = options or VectorOptions()
    rows = as_embedding_set(source, labels=labels, groups=groups, options=told)
    sets = {name: _second(other, told) for name, other in (others or {}).items()}
    for name, other in sets.items():
        rows, sets[name] = common_rows(rows, other)
    if views:
        rows = _with_views(rows, views, told)
    if not isinstance(source, EmbeddingSet):  # one that is at hand stays as it is
        rows = in_order_of_names(rows)
    sets = {name: on_same_rows(rows, other, names=("the vectors", name)) for name, other in sets.items()}
    beside = _second(bank, told, labels=bank_labels) if bank is not None else bank_beside(source, options=told)
    if beside is not None and beside.features.shape[1] != rows.features.shape[1]:
        found = f"{rows.features.shape[1]} and {beside.features.shape[1]}"
        raise DataError("the rows and the bank differ in dimension: they come from different encoders", found=found)
    if beside is not None:
        beside = with_classes_of(rows, in_order_of_names(beside))
    return VectorInputs(embeddings=rows, bank=beside, others=sets)


def read_together(
    sources: Mapping[str, Any], *, labels: Any = None, groups: Any = None, options: VectorOptions | None = None
) -> tuple[dict[str, EmbeddingSet], tuple[str, ...]]:
    """Return sets of vectors of the same rows in one order by name, and what was done so that they are.

    Labels and groups that only the first source has, or that come beside it, are those of all.
    """
    first, *rest = sources
    inputs = read_inputs(
        sources[first],
        labels=labels,
        groups=groups,
        others={name: sources[name] for name in rest},
        options=options,
    )
    rows = inputs.embeddings
    sets = {first: rows}
    for name, other in inputs.others.items():
        mine = {field: getattr(rows, field) for field in ("labels", "label_matrix", "groups", "class_names")}
        has_own = other.labels is not None or other.label_matrix is not None
        sets[name] = replace(other, groups=rows.groups) if has_own and labels is None else replace(other, **mine)
    for name, one in sets.items():  # said once, with the comparison
        plain = replace(one.provenance.reading, notes=())
        sets[name] = replace(one, provenance=replace(one.provenance, reading=plain))
    return sets, inputs.notes


def beside_each(names: Sequence[str], *, bank: Sequence[Any], views: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """Return the bank and the views of each set by its name; raises `UsageError` where they are not as many."""
    for what, given in (("bank", bank), ("views", views)):
        if given and len(given) != len(names):
            raise UsageError(f"give one {what} for each set of vectors", found=f"{len(given)} for {len(names)}")
    return {
        name: {"bank": bank[place] if bank else None, "views": [views[place]] if views else ()}
        for place, name in enumerate(names)
    }


def _second(source: Any, options: VectorOptions, *, labels: Any = None) -> EmbeddingSet:
    """Return a second source: columns that were named for the first are taken where it has them."""
    if isinstance(source, EmbeddingSet):
        return as_embedding_set(source, labels=labels)
    try:
        return as_embedding_set(source, labels=labels, options=options)
    except UsageError:
        plain = replace(options, column=None, label_column=None, group_column=None)
        return as_embedding_set(source, labels=labels, options=plain)


def _with_views(rows: EmbeddingSet, views: Sequence[Any], options: VectorOptions) -> EmbeddingSet:
    """Return the set with views: arrays [V, N, D], or one set of vectors a view, its rows joined by their names."""
    found: list[Tensor] = []
    notes: list[str] = []
    for number, source in enumerate(views, start=1):
        stacked = views_in(source, rows=len(rows)) if isinstance(source, str | Path) else None
        if stacked is not None:
            found.extend(stacked)
            continue
        name = f"view {number}"
        one = on_same_rows(rows, _second(source, options), names=("the vectors", name))
        if one.features.shape != rows.features.shape:
            said = f"{tuple(one.features.shape)}, the vectors {tuple(rows.features.shape)}"
            raise DataError(f"{name} must hold the same rows and dimensions as the vectors", found=said)
        notes += [f"{name}: {note}" for note in one.provenance.reading.notes]
        found.append(one.features)
    reading = rows.provenance.reading.with_notes(*notes)
    whole = torch.stack([view.to(rows.features.dtype) for view in found])
    return replace(rows, views=whole, provenance=replace(rows.provenance, reading=reading))
