"""Analysis of vectors that come without an encoder: text, audio, tabular or image embeddings from any model."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


def analyze_vectors(
    source: Path,
    labels: Path | None,
    *,
    reference: Path | None = None,
    out: Path | None,
    seed: int,
    overwrite: bool,
    protocol: str | None = None,
    per_row: bool = False,
    counting: Any = None,
) -> VectorAnalysis:
    """Evaluate and judge a file of vectors; what needs views or a train set is null with the reason.

    `reference` is a file of other vectors of the same rows in the same order.
    """
    from dataclasses import replace

    from repdiag.cli.analysis import reference_name
    from repdiag.cli.console import is_first_process
    from repdiag.cli.run_directory import prepare, write_parts, write_run, write_tables
    from repdiag.core.files import write_json
    from repdiag.diagnosis.comparisons import check_same_rows, hold_against
    from repdiag.diagnosis.diagnose import judge
    from repdiag.embeddings.as_embedding_set import as_embedding_set
    from repdiag.metrics.evaluate import evaluate_full
    from repdiag.metrics.parts import class_frame, row_frame
    from repdiag.training.distributed import join_world

    embeddings = as_embedding_set(source, labels=labels)
    named = replace(embeddings.provenance, checkpoint=source.stem, dataset=source.name)
    embeddings = replace(embeddings, provenance=named)
    others = {} if reference is None else {reference_name(reference.stem): as_embedding_set(reference)}
    for called, other in others.items():
        check_same_rows(embeddings, other, called)  # a mistake is said before anything is evaluated
    folder = out or Path("runs") / "analysis" / source.stem
    if is_first_process():
        prepare(folder, overwrite=overwrite or out is None)
    with join_world(on_gpu=False) as world, counting("tiles of pairs") if counting else nullcontext() as tiles:
        found = evaluate_full(embeddings, protocol=protocol, seed=seed, distributed=world.size > 1, pass_progress=tiles)
    table = found.table
    diagnosis = hold_against(judge(table), embeddings, others, seed=seed)
    rows, dims = embeddings.features.shape
    result = VectorAnalysis(name=source.stem, rows=rows, dims=dims, table=table, diagnosis=diagnosis, folder=folder)
    if not is_first_process():
        return result
    write_tables(table, folder)
    write_parts(class_frame(found, embeddings), row_frame(found, embeddings) if per_row else None, folder)
    write_json(folder / "verdict.json", diagnosis.to_dict())
    options = {"source": str(source), "seed": seed, "protocol": protocol}
    write_run(folder, kind="analyze-vectors", options=options, reference=None if reference is None else str(reference))
    return result
