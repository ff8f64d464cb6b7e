"""`repdiag analyze CHECKPOINT`: numbers, a judgement and figures for one encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device
from repdiag.cli.reading import NOTHING_TOLD, metric_names, takes_read_options, vector_options_of
from repdiag.core.distributed.first_process import is_first_process
from repdiag.workflows.typed_options import Told, read_options_of

if TYPE_CHECKING:
    from repdiag.embeddings.sources.vector_options import VectorOptions

Embeddings = Annotated[
    Path | None,
    typer.Option(
        "--embeddings",
        help="Vectors instead of a checkpoint: a file, a folder or pattern of parts, an address, or a store.",
    ),
]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="Class labels of vectors, one a row, or by names of rows.")
]
Groups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        help="Rows of --embeddings drawn together, such as frames of one scene: a file, one value a row; or classes.",
    ),
]
Reference = Annotated[
    str | None,
    typer.Option(
        "--reference",
        help="A checkpoint (with --embeddings: vectors) to hold this one against, by paired tests on the same images.",
    ),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        help="Exit 3 when one of these is found: over-clustering, overfitting, collapse, inconclusive, "
        "worse-than-reference, or a number such as knn_accuracy<0.80 (knn_accuracy.low<0.80: the end of its interval).",
    ),
]


@takes_read_options
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
    column: options.Column = None,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    tokens: options.Tokens = None,
    quantised: options.Quantised = None,
    unlabelled: options.Unlabelled = None,
    data: options.Data = None,
    told: Told = NOTHING_TOLD,
    protocol: options.Protocol = None,
    classes: options.Classes = "fixed",
    out: options.Out = None,
    per_class: options.PerClass = None,
    max_rows: options.MaxRows = 10_000,
    max_minutes: options.MaxMinutes = 10.0,
    seed: options.Seed = 0,
    limit: options.Limit = None,
    untrained: Annotated[bool, typer.Option(help="Also evaluate an untrained copy of the encoder.")] = True,
    reference: Reference = None,
    per_row: Annotated[bool, typer.Option("--per-row", help="Also write per_row.parquet: the parts by image.")] = False,
    figures: Annotated[bool, typer.Option(help="Draw the figures.")] = True,
    fail_on: FailOn = None,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 256,
    workers: options.Workers = 0,
    fast: options.Fast = False,
    no_cache: options.NoCache = False,
    download: options.Download = False,
    strict_data: options.StrictData = False,
    check_content: options.CheckContent = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Diagnose one encoder: is it any good, and what is wrong with it?

    Dataset, transform and backbone are taken from the checkpoint unless told otherwise. Writes run.json, metrics.csv,
    metrics.parquet, per_class.parquet, verdict.json, the embeddings and figures/ to --out (default: analysis/ in the
    run).
    """
    from repdiag.cli import summary
    from repdiag.cli.gates import end_with
    from repdiag.workflows.analyze import analyze_checkpoint
    from repdiag.workflows.gates import check_gates, parse_gates
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.saving import save_analysis
    from repdiag.workflows.targets import find_checkpoint
    from repdiag.workflows.vectors import analyze_vectors

    first = is_first_process()
    console = Console(as_json=as_json and first, quiet=quiet or not first, verbose=verbose, progress=not no_progress)
    gates = parse_gates(fail_on)
    reading = vector_options_of(column, label_column, group_column, tokens, quantised, unlabelled)
    with_vectors: dict[str, Any] = {"groups": groups, "bank": bank, "bank_labels": bank_labels, "views": views or None}
    vectors = _vectors(checkpoint, embeddings, reading, labels=labels, metrics=metrics, **with_vectors)
    target = find_checkpoint(_named(checkpoint), download=download) if vectors is None else None
    beside = reference if vectors is not None or reference is None else find_checkpoint(reference, download=download)
    folder = _folder(out, vectors if target is None else target, overwrite=overwrite, check=first)
    if target is None:
        found = analyze_vectors(
            vectors,
            labels,
            **{**with_vectors, "groups": _groups(groups, classes), "views": views or ()},
            metrics=metric_names(metrics),
            options=reading,
            reference=beside,
            seed=seed,
            protocol=protocol,
            per_row=per_row,
            counting=console.counting,
        )
    else:
        chosen = AnalysisOptions(
            data=data,
            read_options=read_options_of(told),
            per_class=per_class,
            max_rows=max_rows,
            max_minutes=max_minutes,
            seed=seed,
            limit=limit,
            untrained=untrained,
            protocol=protocol,
            classes=classes,
            per_row=per_row,
            device=resolve_device(device),
            batch_size=batch_size,
            workers=workers,
            fast=fast,
            cache=not no_cache,
            download=download,
            strict_data=strict_data,
            check_content=check_content,
        )
        found = analyze_checkpoint(target, chosen, reference=beside, counting=console.counting, say=console.say)
    if first:
        again = overwrite or out is None
        drawn = save_analysis(found, folder, figures=figures, overwrite=again, counting=console.counting)
        summary.show_analysis(console, found, folder, drawn)
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


def _groups(groups: str | None, classes: str) -> str | None:
    from repdiag.core.errors import UsageError

    if classes == "drawn" and groups not in {None, "classes"}:
        raise UsageError("--classes drawn and --groups FILE are two answers to one question", hint="give one of them")
    return "classes" if classes == "drawn" else groups


def _vectors(checkpoint: str | None, embeddings: Path | None, reading: VectorOptions, **given: object) -> Path | None:
    """Return the file of vectors that is meant; None for a checkpoint."""
    from repdiag.core.errors import UsageError
    from repdiag.workflows.vectors import is_vectors

    if embeddings is not None and checkpoint is not None:
        raise UsageError("give a checkpoint or --embeddings, not both")
    if embeddings is not None or (checkpoint is not None and is_vectors(checkpoint)):
        return embeddings or Path(str(checkpoint))
    for name, value in {**given, **vars(reading)}.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} belongs to vectors", hint="classes of images are the folders they lie in")
    return None


def _named(checkpoint: str | None) -> str:
    from repdiag.core.errors import UsageError

    if checkpoint is None:
        raise UsageError("nothing to analyze", hint="give a checkpoint, or a file of vectors (--embeddings FILE)")
    return checkpoint
