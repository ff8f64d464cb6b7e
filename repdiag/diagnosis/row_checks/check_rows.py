"""`check_rows`: which rows should a person look at, and what about the space should a searcher know?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from torch import Tensor

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.diagnosis.row_checks import kinds
from repdiag.diagnosis.row_checks.neighbourhoods import ASKED, Neighbourhoods, across, within
from repdiag.diagnosis.row_checks.records import LABEL, RowChecks, RowLimits, RowToCheck, SpaceNote
from repdiag.diagnosis.row_checks.space_notes import dominating_dimension, search_notes
from repdiag.embeddings.as_embedding_set import as_embedding_set

LabelRule = Literal["votes", "cleanlab"]
_ONE_POINT = 1e-6  # usual distance to a tenth neighbour below which all rows are one


def check_rows(
    embeddings: Any,
    *,
    train: Any = None,
    search: bool = False,
    label_rule: LabelRule = "votes",
    limits: RowLimits | None = None,
    seed: int = 0,
) -> RowChecks:
    """Return the rows to look at: near-copies, copies of train rows, label issues, outliers, and for search hubs.

    Shapes:       embeddings: an `EmbeddingSet` or what `as_embedding_set` takes, features [N, D], labels [N] for label
                  issues; train: another one of the same encoder, for rows that are in both.
    Rules:        by cosine among the 20 nearest rows, see `RowLimits`; rows are named and never removed. `label_rule`
                  "cleanlab" hands the shares of the labels among the nearest rows to cleanlab (extra `cleanlab`).
    Range:        of the rows of 25 healthy encoders at most 3.7 % are label issues (the encoder's own errors look like
                  wrong labels) and .3 % outliers, none hubs; in two or three dimensions chance makes copies.
    Errors:       `ConfigError` where cleanlab is asked for and not installed; what cannot be checked is named in
                  `left_out` with the reason.
    Cost:         one pass over all pairs, O(N^2 D); O(N D + 20 N) memory.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> rows = torch.randn(60, 16, generator=draw)
        >>> rows[7] = rows[3]
        >>> check_rows(rows).to_frame()[["row_id", "what", "neighbour"]].values.tolist()
        [[3, 'near-copy', 7], [7, 'near-copy', 3]]
    """
    limits = limits or RowLimits()
    judged = as_embedding_set(embeddings)
    features = _on_cpu(judged)
    if len(features) <= ASKED:
        reason = f"{ASKED + 1} rows are needed, there are {len(features)}"
        return RowChecks(rows=(), notes=(), counted=len(features), left_out={"everything": reason})
    found = within(features)
    if found.copy_scale < _ONE_POINT:
        reason = "all rows are the same point: the encoder has collapsed"
        return RowChecks(rows=(), notes=(), counted=len(features), left_out={"everything": reason})
    left_out: dict[str, str] = {}
    rows = [
        *_copies(judged, found, train, limits),
        *_labels(judged, found, limits, rule=label_rule, left_out=left_out),
        *kinds.outliers(found, limits, split=_split(judged), names=_names(judged)),
    ]
    dominating = dominating_dimension(features, limits)
    notes: list[SpaceNote] = [] if dominating is None else [dominating]
    if search:
        often = kinds.occurrences(found)
        notes += search_notes(features, found, often, limits=limits, seed=seed)
        many = any(note.what == "antihubs" and note.look for note in notes)
        rows += kinds.hubs(often, limits, split=_split(judged), names=_names(judged), antihubs=many)
    return RowChecks(rows=tuple(rows), notes=tuple(notes), counted=len(features), left_out=left_out)


def _copies(judged: EmbeddingSet, found: Neighbourhoods, train: Any, limits: RowLimits) -> Iterator[RowToCheck]:
    own, split = _names(judged), _split(judged)
    yield from kinds.near_copies(found, limits, scale=found.copy_scale, split=split, names=(own, own))
    if train is None:
        return
    other = as_embedding_set(train)
    if len(other) < ASKED:
        return
    there = across(_on_cpu(judged), _on_cpu(other))
    yield from kinds.near_copies(there, limits, scale=found.copy_scale, split=split, names=(own, _names(other)))


def _labels(
    judged: EmbeddingSet, found: Neighbourhoods, limits: RowLimits, *, rule: LabelRule, left_out: dict[str, str]
) -> Iterator[RowToCheck]:
    if judged.labels is None:
        left_out[LABEL] = "there are no labels"
        return
    if judged.labelled_rows() is not None:
        left_out[LABEL] = "some rows have no label: select the labelled ones first"
        return
    labels: Tensor = judged.labels.cpu()
    split, names = _split(judged), _names(judged)
    if rule == "cleanlab":
        yield from kinds.label_issues_by_cleanlab(found, labels, split=split, names=names, named=judged.class_name)
    else:
        yield from kinds.label_issues(found, labels, limits, split=split, names=names, named=judged.class_name)


def _on_cpu(rows: EmbeddingSet) -> Tensor:
    features: Tensor = rows.features
    return features.cpu()


def _names(rows: EmbeddingSet) -> list[Any]:
    assert rows.row_ids is not None
    return list(rows.row_ids.tolist())


def _split(rows: EmbeddingSet) -> str:
    return rows.provenance.split
