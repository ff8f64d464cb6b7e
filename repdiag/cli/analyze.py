"""`repdiag analyze CHECKPOINT`: numbers, a judgement and figures for one encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from repdiag.cli import options
from repdiag.cli.reading import (
    ANALYSIS,
    NOTHING_TOLD,
    READING,
    SPEAKING,
    VECTORS,
    Typed,
    analysis_options_of,
    console_of,
    metric_names,
    takes,
    vector_asked_of,
    vector_options_of,
)
from repdiag.core.distributed.first_process import is_first_process
from repdiag.core.errors import UsageError

Embeddings = Annotated[
    Path | None,
    typer.Option("--embeddings", help="Vectors: a file, a folder or pattern of parts, a URL."),
]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="Class labels of vectors, one per row, or matched by row names.")
]
Groups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        help="Rows of --embeddings drawn together, such as frames of one scene: a file with one value per row; or "
        "classes.",
    ),
]
Reference = Annotated[
    str | None, typer.Option("--reference", help="A checkpoint (or vectors) to compare with, on the same rows.")
]


@takes(reading=VECTORS, told=READING, how=ANALYSIS, speaking=SPEAKING)
def analyze(
    checkpoint: Annotated[
        str | None, typer.Argument(help="A checkpoint file, a run directory, a manifest's name, or a file of vectors.")
    ] = None,
    embeddings: Embeddings = None,
    labels: Labels = None,
    groups: Groups = None,
    bank: options.Bank = None,
    bank_labels: options.BankLabels = None,
    views: options.ViewFiles = None,
    metrics: options.MetricNames = None,
    reading: Typed = NOTHING_TOLD,
    told: Typed = NOTHING_TOLD,
    protocol: options.Protocol = None,
    how: Typed = NOTHING_TOLD,
    out: options.Out = None,
    reference: Reference = None,
    per_row: Annotated[bool, typer.Option("--per-row", help="Also write per_row.parquet: values by image.")] = False,
    figures: Annotated[bool, typer.Option(help="Draw the figures.")] = True,
    fail_on: options.FailOn = None,
    overwrite: options.Overwrite = False,
    speaking: Typed = NOTHING_TOLD,
) -> None:
    """Diagnose one encoder: is it any good, and what is wrong with it?

    Dataset, transform and backbone come from the checkpoint unless you set them. Writes run.json, metrics.csv,
    metrics.parquet, per_class.parquet, verdict.json, the embeddings and figures/ to --out (default: analysis/ in the
    run).
    """
    from repdiag.cli import summary
    from repdiag.cli.gates import end_with
    from repdiag.workflows.analyze import analyze_checkpoint
    from repdiag.workflows.gates import check_gates, parse_gates
    from repdiag.workflows.saving import save_analysis
    from repdiag.workflows.targets import find_checkpoint
    from repdiag.workflows.vector_choice import groups_meant, vectors_meant
    from repdiag.workflows.vectors import analyze_vectors

    first = is_first_process()
    console = console_of(speaking, speaks=first)
    gates = parse_gates(fail_on)
    read = vector_options_of(reading)
    with_vectors: dict[str, Any] = {"groups": groups, "bank": bank, "bank_labels": bank_labels, "views": views or None}
    vectors = vectors_meant(checkpoint, embeddings, read, labels=labels, metrics=metrics, **with_vectors)
    fetch = how["download"]
    target = find_checkpoint(_named(checkpoint), download=fetch) if vectors is None else None
    beside = reference if target is None or reference is None else find_checkpoint(reference, download=fetch)
    folder = _folder(out, vectors if target is None else target, overwrite=overwrite, check=first)
    if target is None:
        found = analyze_vectors(
            vectors,
            labels,
            **{**with_vectors, "groups": groups_meant(groups, how["classes"]), "views": views or ()},
            metrics=metric_names(metrics),
            options=read,
            reference=beside,
            **vector_asked_of(how),
            protocol=protocol,
            per_row=per_row,
            counting=console.counting,
        )
    else:
        chosen = analysis_options_of(how, told, protocol=protocol, per_row=per_row)
        found = analyze_checkpoint(target, chosen, reference=beside, counting=console.counting, say=console.say)
    if first:
        again = overwrite or out is None
        drawn = save_analysis(found, folder, figures=figures, overwrite=again, counting=console.counting)
        summary.show_analysis(console, found, folder, drawn, told=out is not None)
        table = found.table.where(checkpoint=found.name)
        end_with(check_gates(gates, found.diagnosis, table, referenced=reference is not None))


def _folder(out: Path | None, source: Any, *, overwrite: bool, check: bool) -> Path:
    """Return where to write; what is there already is refused before anything is computed."""
    from repdiag.results.transaction import check_place
    from repdiag.workflows.saving import default_folder

    folder = out or default_folder(source)
    if check:
        check_place(folder, overwrite=overwrite or out is None)
    return folder


def _named(checkpoint: str | None) -> str:
    if checkpoint is None:
        raise UsageError("nothing to analyze", hint="give a checkpoint, or a file of vectors (--embeddings FILE)")
    return checkpoint
