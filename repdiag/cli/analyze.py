"""`repdiag analyze CHECKPOINT`: numbers, a judgement and figures for one encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device
from repdiag.core.distributed.first_process import is_first_process

if TYPE_CHECKING:
    from repdiag.workflows.analyze import Analysis, AnalysisOptions
    from repdiag.workflows.targets import Target

Embeddings = Annotated[
    Path | None,
    typer.Option(
        "--embeddings",
        help="Vectors instead of a checkpoint: a file, a folder or pattern of parts, an address, or a store.",
    ),
]
Labels = Annotated[
    Path | None, typer.Option("--labels", help="Class labels for --embeddings, one a row, or by the rows' names.")
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
    typer.Option("--fail-on", help="Exit 3 when one of these is found: over-clustering,overfitting,collapse."),
]


def analyze(
    checkpoint: Annotated[
        str | None, typer.Argument(help="A checkpoint file, a run directory, a manifest's name, or vectors.")
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
    branch: options.Branch = None,
    backbone: options.Backbone = None,
    prefix: options.Prefix = None,
    heads: options.Heads = None,
    stem_padding: options.StemPadding = None,
    image_size: options.ImageSize = None,
    mean: options.Mean = None,
    std: options.Std = None,
    protocol: options.Protocol = None,
    out: options.Out = None,
    per_class: options.PerClass = 50,
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
    from repdiag.cli.gates import check_gates, parse_gates

    first = is_first_process()
    console = Console(as_json=as_json and first, quiet=quiet or not first, verbose=verbose, progress=not no_progress)
    gates = parse_gates(fail_on)
    told_of_vectors = {
        "column": column,
        "label_column": label_column,
        "group_column": group_column,
        "tokens": tokens,
        "quantised": quantised,
        "unlabelled": unlabelled,
    }
    with_vectors: dict[str, Any] = {
        "groups": groups,
        "bank": bank,
        "bank_labels": bank_labels,
        "views": views or None,
        "metrics": metrics,
    }
    vectors = _vectors(checkpoint, embeddings)
    if vectors is not None:
        from repdiag.cli.reading import metric_names, vector_options_of
        from repdiag.workflows.vectors import analyze_vectors

        given = {**with_vectors, "views": views or (), "metrics": metric_names(metrics)}
        result = analyze_vectors(
            vectors,
            labels,
            **given,
            options=vector_options_of(**told_of_vectors),
            reference=reference,
            out=out,
            seed=seed,
            overwrite=overwrite,
            protocol=protocol,
            per_row=per_row,
            counting=console.counting,
        )
        if first:
            summary.show_vectors(console, result)
            check_gates(result.diagnosis, gates)
        return
    _refuse_for_images(labels=labels, **with_vectors, **told_of_vectors)
    target = _needed(checkpoint, download=download)
    beside = None if reference is None else _needed(reference, download=download)
    folder = out or _default_out(target)
    from repdiag.cli.reading import read_options_of
    from repdiag.results.writing import prepare
    from repdiag.workflows.analyze import AnalysisOptions, analyze_checkpoint

    if first:
        prepare(folder, overwrite=overwrite or out is None)
    told: dict[str, Any] = {"branch": branch, "backbone": backbone, "prefix": prefix, "heads": heads}
    read_options = read_options_of(**told, stem_padding=stem_padding, image_size=image_size, mean=mean, std=std)
    chosen = AnalysisOptions(
        data=data,
        read_options=read_options.over(target.read_options),
        per_class=per_class,
        seed=seed,
        limit=limit,
        untrained=untrained,
        protocol=protocol,
        per_row=per_row,
        device=resolve_device(device),
        batch_size=batch_size,
        workers=workers,
        fast=fast,
        cache=not no_cache,
        download=download,
        strict_data=strict_data,
    )
    analysis = analyze_checkpoint(target.path, chosen, name=target.name, reference=beside, counting=console.counting)
    if first:
        drawn = _written(analysis, chosen, folder, training=target.path.parent.parent, figures=figures)
        summary.show_analysis(console, analysis, folder, drawn)
        check_gates(analysis.diagnosis, gates)


def _written(
    analysis: Analysis, options: AnalysisOptions, folder: Path, *, training: Path, figures: bool
) -> list[Path]:
    """Write the tables and, if wanted, the figures; return the figures."""
    from repdiag.results.writing import write_analysis
    from repdiag.workflows.figures import draw_analysis

    write_analysis(analysis, options, folder)
    return draw_analysis(analysis, folder, training=training) if figures else []


def _needed(checkpoint: str | None, *, download: bool) -> Target:
    from repdiag.core.errors import UsageError
    from repdiag.workflows.targets import find_checkpoint

    if checkpoint is None:
        raise UsageError("nothing to analyze", hint="give a checkpoint, or vectors with --embeddings FILE")
    return find_checkpoint(checkpoint, download=download)


def _vectors(checkpoint: str | None, embeddings: Path | None) -> Path | None:
    """Return the vectors that are meant: those named as such, or an argument that can be nothing else."""
    from repdiag.core.errors import UsageError

    if checkpoint is not None and embeddings is not None:
        raise UsageError("give a checkpoint or --embeddings, not both")
    if checkpoint is None:
        return embeddings
    from repdiag.embeddings.sources.recognise_vectors import means_vectors

    return Path(checkpoint) if means_vectors(checkpoint) else None


def _refuse_for_images(**given: object) -> None:
    from repdiag.core.errors import UsageError

    for name, value in given.items():
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} belongs to --embeddings", hint="classes of images are the folders they lie in")


def _default_out(target: Target) -> Path:
    """Return RUN/analysis/STEM for a checkpoint of a run directory, else runs/analysis/NAME."""
    from repdiag.workflows.targets import run_of

    run = run_of(target.path)
    return Path("runs") / "analysis" / target.name if run is None else run / "analysis" / target.path.stem
