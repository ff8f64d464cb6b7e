"""Analysis of vectors that come without an encoder: text, audio, tabular or image embeddings from any model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import UsageError
from repdiag.workflows.analysis import Analysis

if TYPE_CHECKING:
    from repdiag.core.metric_table import MetricTable
    from repdiag.embeddings.sources.vector_options import VectorOptions
    from repdiag.embeddings.vector_inputs import VectorInputs
    from repdiag.workflows.row_sample import RowSample

VECTOR_KIND = "analyze-vectors"


def is_vectors(source: Any) -> bool:
    """Say whether a source holds vectors rather than an encoder: a path by what it names, anything else by its kind."""
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.embeddings.sources.recognise_vectors import means_vectors
    from repdiag.workflows.targets import Target

    if isinstance(source, Encoder | Target):
        return False
    return means_vectors(source) if isinstance(source, str | Path) else True


def all_vectors(sources: Iterable[Any]) -> bool:
    """Say whether all sources hold vectors; both kinds together are refused, since they cannot be compared."""
    given = list(sources)
    found = [source for source in given if is_vectors(source)]
    if found and len(found) < len(given):
        named = ", ".join(str(source) if isinstance(source, str | Path) else type(source).__name__ for source in found)
        hint = "`repdiag embed` makes vectors of a checkpoint"
        raise UsageError("checkpoints and vectors cannot be compared", found=named, hint=hint)
    return bool(found)


def evaluate_vectors(
    source: Any,
    *,
    labels: Any = None,
    groups: Any = None,
    bank: Any = None,
    bank_labels: Any = None,
    other: Any = None,
    views: Sequence[Any] = (),
    metrics: Sequence[str] | None = None,
    options: VectorOptions | None = None,
    protocol: str | None = None,
    seed: int = 0,
    quick: bool = False,
    precision: float | None = None,
) -> tuple[MetricTable, tuple[str, ...]]:
    """Return the metrics of vectors, and what was chosen, joined or left out to read them.

    `quick` takes about a tenth of the time, for wider intervals; `precision` as many rows as bring the intervals of
    means over rows to this half-width. What is left out for either is said.
    """
    from repdiag.core.distributed.world import join_world
    from repdiag.metrics.evaluate import evaluate
    from repdiag.workflows.row_sample import Effort, precision_reached, sampled_inputs

    effort = Effort(quick=quick, precision=precision)
    with join_world(on_gpu=False) as world:
        inputs = _read_once_a_machine(
            source,
            labels=labels,
            groups=_beside(groups),
            bank=bank,
            bank_labels=bank_labels,
            views=views,
            others={} if other is None else {"other": other},
            options=options,
        )
        inputs, sampled = sampled_inputs(inputs, effort, metrics=metrics, seed=seed)
        table = evaluate(
            inputs.embeddings,
            metrics,
            protocol=protocol,
            bank=inputs.bank,
            other=inputs.others.get("other"),
            groups=_word(groups),
            seed=seed,
            distributed=world.size > 1,
            quick=quick,
        )
    return table, (*inputs.notes, *sampled, *precision_reached(table, precision))


def analyze_vectors(
    source: Any,
    labels: Any = None,
    *,
    groups: Any = None,
    reference: Any = None,
    bank: Any = None,
    bank_labels: Any = None,
    views: Sequence[Any] = (),
    options: VectorOptions | None = None,
    metrics: Any = None,
    protocol: str | None = None,
    per_row: bool = False,
    mute: str | Sequence[str] = (),
    name: str | None = None,
    seed: int = 0,
    quick: bool = False,
    precision: float | None = None,
    sample: RowSample | None = None,
    counting: Any = None,
    **chosen: Any,
) -> Analysis:
    """Evaluate and judge vectors; what needs views or a train set that is not there is null with the reason.

    `source` is whatever `as_embedding_set` takes, `labels` and `groups` (or the word "classes") go beside it.
    `reference` holds other vectors of the same rows, joined by their names; `bank` the vectors of the train set;
    `views` one set of vectors a view. `mute` leaves findings of these codes out. `quick` takes about a tenth of the
    time, for wider intervals; `precision` (.005) takes as many rows as bring the intervals of means over rows to this
    half-width; what is left out for either is said. `sample` holds rows that were chosen before. `options` or `chosen`
    (column=, label_column=, tokens=, ...) say how to read.
    """
    from repdiag.core.distributed.world import join_world
    from repdiag.core.metric_table import reference_name
    from repdiag.diagnosis.sampled_rows import open_where_sampled
    from repdiag.embeddings.sources.vector_options import VectorOptions
    from repdiag.metrics.near_copies import near_copy_note
    from repdiag.workflows.checks import cluster_sample_note
    from repdiag.workflows.row_sample import Effort, precision_reached, rows_of_class, sampled_inputs

    effort = Effort(quick=quick, precision=precision)
    called = name or name_of_source(source, "vectors")
    asked = {"metrics": metrics, "protocol": protocol, "seed": seed}
    with join_world(on_gpu=False):
        inputs = _read_once_a_machine(
            source,
            labels=labels,
            groups=_beside(groups),
            bank=bank,
            bank_labels=bank_labels,
            views=views,
            others={} if reference is None else {reference_name(name_of_source(reference, "vectors")): reference},
            options=replace(options or VectorOptions(), **chosen),
        )
        inputs = replace(inputs, embeddings=_named(inputs.embeddings, called, source))
        there = rows_of_class(inputs.embeddings)
        inputs, said = sampled_inputs(inputs, effort, sample=sample, metrics=metrics, seed=seed)
        how: dict[str, Any] = {"groups": _word(groups), "per_row": per_row, "mute": mute, "counting": counting}
        found = analyze_inputs(inputs, quick=quick, **how, **asked)
        of_class = rows_of_class(inputs.embeddings)
        found = replace(found, diagnosis=open_where_sampled(found.diagnosis, of_class=of_class, there=there))
    grouped = groups is not None or inputs.embeddings.groups is not None
    copies = near_copy_note(inputs.embeddings, grouped=grouped)
    return replace(
        found,
        reference=None if reference is None else {"source": _said(reference)},
        notes=(
            *inputs.notes,
            *said,
            *found.notes,
            *precision_reached(found.table, precision),
            *cluster_sample_note(found.table),
            *(() if copies is None else (copies,)),
        ),
        options={
            "source": _said(source),
            "seed": seed,
            "protocol": protocol,
            "groups": _said(groups),
            "quick": quick,
            "precision": precision,
        },
    )


def analyze_inputs(
    inputs: VectorInputs,
    *,
    groups: str | None = None,
    per_row: bool = False,
    mute: str | Sequence[str] = (),
    quick: bool = False,
    counting: Any = None,
    **asked: Any,
) -> Analysis:
    """Evaluate and judge sets that fit one another; `quick` with fewer repetitions behind values and intervals."""
    from repdiag.core.distributed.world import join_world
    from repdiag.core.progress import listening
    from repdiag.diagnosis.comparisons import hold_against
    from repdiag.diagnosis.diagnose import judge
    from repdiag.metrics.breakdown import class_frame, row_frame
    from repdiag.metrics.effort import at_effort
    from repdiag.metrics.evaluate import evaluate
    from repdiag.metrics.inference.units import as_groups
    from repdiag.metrics.registry import check_rows
    from repdiag.workflows.checks import check_sets
    from repdiag.workflows.drift_beside import drift_beside, drift_sentences

    embeddings = inputs.embeddings
    given = {field: getattr(embeddings, field) for field in ("features", "labels", "views")}
    check_rows(given)  # nothing could be said of an empty set, or of rows that are not finite
    as_groups(groups or embeddings.groups, embeddings.labels, rows=len(embeddings))  # a mistake is said at once
    other = next(iter(inputs.others.values())) if len(inputs.others) == 1 else None
    beside: dict[str, Any] = {"bank": inputs.bank, "other": other, "groups": groups}
    with join_world(on_gpu=False) as world, listening(counting), at_effort(quick=quick):
        found = evaluate(embeddings, **beside, distributed=world.size > 1, **asked)
        judged = hold_against(judge(found), embeddings, inputs.others, groups=groups, seed=asked.get("seed", 0))
    sets = {"val": embeddings} if inputs.bank is None else {"val": embeddings, "bank": inputs.bank}
    with listening(counting):
        row_checks, findings = check_sets(sets, search=True, seed=asked.get("seed", 0))
    drift = None
    if other is not None:
        (called,) = inputs.others
        pair = {**inputs.others, embeddings.provenance.checkpoint: embeddings}
        drift = drift_beside(called, pair, seed=asked.get("seed", 0))
    return Analysis(
        kind=VECTOR_KIND,
        name=embeddings.provenance.checkpoint,
        table=found,
        diagnosis=judged.with_checks(findings).mute(mute),
        row_checks=row_checks,
        embeddings=sets,
        per_class=class_frame(found, embeddings),
        per_row=row_frame(found, embeddings) if per_row else None,
        drift=drift,
        notes=() if drift is None else tuple(drift_sentences(drift)),
    )


def _read_once_a_machine(source: Any, **beside: Any) -> VectorInputs:
    """Read the rows; of several processes that share the work the first of each machine does, and the others map them.

    Vectors that every process holds already stay as they are.
    """
    from repdiag.core.distributed.first_process import process_count
    from repdiag.core.distributed.machine import told_by_first
    from repdiag.embeddings.vector_inputs import read_inputs

    if process_count() == 1 or not isinstance(source, str | Path):
        return read_inputs(source, **beside)
    return told_by_first(lambda: read_inputs(source, **beside))


def _beside(groups: Any) -> Any:
    """Return the groups that are read beside the rows; None for the word classes."""
    return None if _word(groups) is not None else groups


def _word(groups: Any) -> str | None:
    from repdiag.metrics.inference.units import CLASSES

    return CLASSES if isinstance(groups, str) and groups == CLASSES else None


def name_of_source(source: Any, otherwise: str) -> str:
    """Return what a source of vectors is called: by its file, else by the encoder that it names."""
    from repdiag.core.provenance import UNKNOWN
    from repdiag.embeddings.shards import name_of

    if isinstance(source, str | Path):
        return name_of(Path(source))
    if isinstance(source, EmbeddingSet) and source.provenance.checkpoint != UNKNOWN:
        return source.provenance.checkpoint
    return otherwise


def _named(embeddings: EmbeddingSet, name: str, source: Any) -> EmbeddingSet:
    from repdiag.core.provenance import UNKNOWN

    known = embeddings.provenance
    dataset = Path(source).name if isinstance(source, str | Path) else known.dataset
    split = "val" if known.split == UNKNOWN else known.split  # rows that the encoder is not known to be trained on
    return replace(embeddings, provenance=replace(known, checkpoint=name, dataset=dataset, split=split))


def _said(value: Any) -> str | None:
    """Return what run.json can say of an argument: a path or a word as it is, of anything else its kind."""
    if value is None or isinstance(value, str):
        return value
    return str(value) if isinstance(value, Path) else type(value).__name__
