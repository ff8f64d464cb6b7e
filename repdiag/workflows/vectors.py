"""Analysis of vectors that come without an encoder: text, audio, tabular or image embeddings from any model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repdiag.core.metric_table import MetricTable
    from repdiag.diagnosis.verdict import Diagnosis
    from repdiag.embeddings.sources.vector_options import VectorOptions
    from repdiag.embeddings.vector_inputs import VectorInputs
    from repdiag.metrics.evaluate import Evaluation


@dataclass(frozen=True, kw_only=True)
class VectorAnalysis:
    """Numbers and judgement of one set of vectors, where they were written, and what was done to read it."""

    name: str
    rows: int
    dims: int
    table: MetricTable
    diagnosis: Diagnosis
    folder: Path
    note: str | None = None
    reading: tuple[str, ...] = ()


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
) -> tuple[MetricTable, tuple[str, ...]]:
    """Return the metrics of vectors, and what was chosen, joined or left out to read them."""
    from repdiag.embeddings.vector_inputs import read_inputs
    from repdiag.metrics.evaluate import evaluate

    inputs = read_inputs(
        source,
        labels=labels,
        groups=_beside(groups),
        bank=bank,
        bank_labels=bank_labels,
        views=views,
        others={} if other is None else {"other": other},
        options=options,
    )
    table = evaluate(
        inputs.embeddings,
        metrics,
        protocol=protocol,
        bank=inputs.bank,
        other=inputs.others.get("other"),
        groups=groups if _beside(groups) is None else None,
        seed=seed,
    )
    return table, inputs.notes


def analyze_vectors(
    source: Any,
    labels: Any = None,
    *,
    groups: Any = None,
    reference: Any = None,
    bank: Any = None,
    bank_labels: Any = None,
    views: Sequence[Any] = (),
    metrics: Sequence[str] | None = None,
    options: VectorOptions | None = None,
    out: Path | None,
    seed: int,
    overwrite: bool,
    protocol: str | None = None,
    per_row: bool = False,
    counting: Any = None,
) -> VectorAnalysis:
    """Evaluate and judge vectors; what needs views or a train set that is not there is null with the reason.

    `source` is whatever `as_embedding_set` takes. `reference` holds other vectors of the same rows, joined by their
    names; `bank` the vectors of the train set; `views` one set of vectors a view. `groups` says which rows were drawn
    together, or is the word classes.
    """
    from repdiag.core.distributed.first_process import is_first_process
    from repdiag.embeddings.vector_inputs import read_inputs
    from repdiag.metrics.near_copies import near_copy_note
    from repdiag.metrics.registry import check_rows
    from repdiag.results.writing import prepare
    from repdiag.workflows.analyze import reference_name

    name = _name_of(source)
    inputs = read_inputs(
        source,
        labels=labels,
        groups=_beside(groups),
        bank=bank,
        bank_labels=bank_labels,
        views=views,
        others={} if reference is None else {reference_name(_name_of(reference)): reference},
        options=options,
    )
    inputs = replace(inputs, embeddings=_called(inputs.embeddings, name, source))
    given = {field: getattr(inputs.embeddings, field) for field in ("features", "labels", "views")}
    check_rows(given)  # nothing could be said of an empty set, or of rows that are not finite
    _check_groups(groups, inputs)  # a mistake is said before anything is evaluated
    folder = out or Path("runs") / "analysis" / name
    if is_first_process():
        prepare(folder, overwrite=overwrite or out is None)
    asked = {"metrics": metrics, "protocol": protocol, "seed": seed}
    found, diagnosis = _judged(inputs, groups if _beside(groups) is None else None, asked, counting=counting)
    rows, dims = inputs.embeddings.features.shape
    grouped = groups is not None or inputs.embeddings.groups is not None
    result = VectorAnalysis(
        name=name,
        rows=rows,
        dims=dims,
        table=found.table,
        diagnosis=diagnosis,
        folder=folder,
        note=near_copy_note(inputs.embeddings, grouped=grouped),
        reading=inputs.notes,
    )
    if is_first_process():
        recorded = {"source": _said(source), "groups": _said(groups), **asked}
        _write(result, found, inputs, options=recorded, reference=_said(reference), per_row=per_row)
    return result


def _judged(
    inputs: VectorInputs, groups: str | None, asked: dict[str, Any], *, counting: Any
) -> tuple[Evaluation, Diagnosis]:
    from repdiag.core.distributed.world import join_world
    from repdiag.diagnosis.comparisons import hold_against
    from repdiag.diagnosis.diagnose import judge
    from repdiag.metrics.evaluate import evaluate_full

    with join_world(on_gpu=False) as world, counting("tiles of pairs") if counting else nullcontext() as tiles:
        found = evaluate_full(
            inputs.embeddings,
            bank=inputs.bank,
            groups=groups,
            distributed=world.size > 1,
            pass_progress=tiles,
            **asked,
        )
    return found, hold_against(judge(found.table), inputs.embeddings, inputs.others, seed=asked["seed"])


def _write(
    result: VectorAnalysis,
    found: Evaluation,
    inputs: VectorInputs,
    *,
    options: dict[str, Any],
    reference: str | None,
    per_row: bool,
) -> None:
    """Write tables, judgement and, last, run.json."""
    from repdiag.core.files import write_json
    from repdiag.metrics.breakdown import class_frame, row_frame
    from repdiag.results.writing import write_parts, write_run, write_tables

    folder, embeddings = result.folder, inputs.embeddings
    write_tables(result.table, folder)
    write_parts(class_frame(found, embeddings), row_frame(found, embeddings) if per_row else None, folder)
    write_json(folder / "verdict.json", result.diagnosis.to_dict())
    write_run(folder, kind="analyze-vectors", options=options, reference=reference, reading=list(result.reading))


def _called(embeddings: Any, name: str, source: Any) -> Any:
    """Return the set with the name of its source as that of its checkpoint and dataset."""
    dataset = Path(source).name if isinstance(source, str | Path) else name
    return replace(embeddings, provenance=replace(embeddings.provenance, checkpoint=name, dataset=dataset))


def _name_of(source: Any) -> str:
    from repdiag.embeddings.shards import name_of

    return name_of(Path(source)) if isinstance(source, str | Path) else "vectors"


def _said(source: Any) -> str | None:
    if source is None:
        return None
    return str(source) if isinstance(source, str | Path) else f"a {type(source).__name__}"


def _beside(groups: Any) -> Any:
    """Return the groups that are read beside the rows; None for the word classes."""
    from repdiag.metrics.inference.units import CLASSES

    return None if isinstance(groups, str) and groups == CLASSES else groups


def _check_groups(groups: Any, inputs: VectorInputs) -> None:
    from repdiag.metrics.inference.units import as_groups

    embeddings = inputs.embeddings
    as_groups(groups if _beside(groups) is None else embeddings.groups, embeddings.labels, rows=len(embeddings))
