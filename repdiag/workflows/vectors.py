"""Analysis of vectors that come without an encoder: text, audio, tabular or image embeddings from any model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.diagnosis.verdict import Diagnosis


@dataclass(frozen=True, kw_only=True)
class VectorAnalysis:
    """Numbers and judgement of one set of vectors, and where they were written."""

    name: str
    rows: int
    dims: int
    table: MetricTable
    diagnosis: Diagnosis
    folder: Path
    note: str | None = None


def analyze_vectors(
    source: Path,
    labels: Path | None,
    *,
    groups: str | None = None,
    reference: Path | None = None,
    out: Path | None,
    seed: int,
    overwrite: bool,
    protocol: str | None = None,
    per_row: bool = False,
    counting: Any = None,
) -> VectorAnalysis:
    """Evaluate and judge a file of vectors; what needs views or a train set is null with the reason.

    `reference` is a file of other vectors of the same rows in the same order. `groups` names a file that says which
    rows were drawn together, or is the word classes.
    """
    from dataclasses import replace

    from repdiag.core.distributed.first_process import is_first_process
    from repdiag.core.distributed.world import join_world
    from repdiag.core.files import write_json
    from repdiag.diagnosis.comparisons import check_same_rows, hold_against
    from repdiag.diagnosis.diagnose import judge
    from repdiag.embeddings.as_embedding_set import as_embedding_set
    from repdiag.embeddings.shards import name_of
    from repdiag.metrics.breakdown import class_frame, row_frame
    from repdiag.metrics.evaluate import evaluate_full
    from repdiag.metrics.near_copies import near_copy_note
    from repdiag.metrics.registry import check_rows
    from repdiag.results.writing import prepare, write_parts, write_run, write_tables
    from repdiag.workflows.analyze import reference_name

    embeddings = as_embedding_set(source, labels=labels)
    name = name_of(source)
    named = replace(embeddings.provenance, checkpoint=name, dataset=source.name)
    embeddings = replace(embeddings, provenance=named)
    given = {name: getattr(embeddings, name) for name in ("features", "labels", "views")}
    check_rows(given)  # nothing could be said of an empty set, or of rows that are not finite
    others = {} if reference is None else {reference_name(name_of(reference)): as_embedding_set(reference)}
    for called, other in others.items():
        check_same_rows(embeddings, other, called)  # a mistake is said before anything is evaluated
    together = _read_groups(groups, embeddings)
    folder = out or Path("runs") / "analysis" / name
    if is_first_process():
        prepare(folder, overwrite=overwrite or out is None)
    with join_world(on_gpu=False) as world, counting("tiles of pairs") if counting else nullcontext() as tiles:
        several = world.size > 1
        found = evaluate_full(
            embeddings, protocol=protocol, groups=together, seed=seed, distributed=several, pass_progress=tiles
        )
    table = found.table
    diagnosis = hold_against(judge(table), embeddings, others, seed=seed)
    rows, dims = embeddings.features.shape
    result = VectorAnalysis(
        name=name,
        rows=rows,
        dims=dims,
        table=table,
        diagnosis=diagnosis,
        folder=folder,
        note=near_copy_note(embeddings, grouped=groups is not None),
    )
    if not is_first_process():
        return result
    write_tables(table, folder)
    write_parts(class_frame(found, embeddings), row_frame(found, embeddings) if per_row else None, folder)
    write_json(folder / "verdict.json", diagnosis.to_dict())
    options = {"source": str(source), "seed": seed, "protocol": protocol, "groups": groups}
    write_run(folder, kind="analyze-vectors", options=options, reference=None if reference is None else str(reference))
    return result


def _read_groups(groups: str | None, embeddings: EmbeddingSet) -> Tensor | None:
    from repdiag.embeddings.vector_files import read_labels
    from repdiag.metrics.inference.units import CLASSES, as_groups

    given = groups if groups is None or groups == CLASSES else read_labels(Path(groups))
    return as_groups(given, embeddings.labels, rows=len(embeddings))
