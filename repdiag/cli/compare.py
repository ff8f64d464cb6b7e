"""`repdiag compare A B ...`: checkpoints side by side, on the same rows and views."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device

if TYPE_CHECKING:
    from repdiag.workflows.comparison import Comparison
    from repdiag.workflows.gates import Gate, GateResult

FailOn = Annotated[
    str | None,
    typer.Option("--fail-on", help="Exit 3 when one of these is found of any checkpoint; as in `repdiag analyze`."),
]


def compare(
    checkpoints: Annotated[
        list[str],
        typer.Argument(help="Checkpoint files, run directories, names of the manifest, a manifest file; or vectors."),
    ],
    labels: Annotated[Path | None, typer.Option("--labels", help="Class labels of vectors, for all of them.")] = None,
    groups: Annotated[Path | None, typer.Option("--groups", help="Which rows of vectors were drawn together.")] = None,
    bank: Annotated[
        list[str] | None, typer.Option("--bank", help="The train set's vectors: one for each set, in their order.")
    ] = None,
    views: Annotated[
        list[str] | None, typer.Option("--views", help="Another view's vectors: one for each set, in their order.")
    ] = None,
    metrics: options.MetricNames = None,
    column: options.Column = None,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    tokens: options.Tokens = None,
    quantised: options.Quantised = None,
    unlabelled: options.Unlabelled = None,
    data: options.Data = None,
    out: options.Out = None,
    only: Annotated[str | None, typer.Option("--only", help="Of a manifest, the ids that match this glob.")] = None,
    per_class: options.PerClass = None,
    max_rows: options.MaxRows = 10_000,
    max_minutes: options.MaxMinutes = 10.0,
    seed: options.Seed = 0,
    limit: options.Limit = None,
    classes: options.Classes = "fixed",
    untrained: Annotated[bool, typer.Option(help="Also evaluate an untrained copy of each encoder.")] = True,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="A checkpoint, one of those named or another, to hold all others against."),
    ] = None,
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
    """Put checkpoints side by side. Stopped in the middle, it goes on where it was; finished ones are not redone.

    Of a manifest, each entry is read as it says (branch, backbone, input size, normalisation), the absent ones are
    listed, and --download fetches them. A file that cannot be read is left out and named; the exit code is then 1.
    Writes metrics.csv, paired_tests.csv (every pair on the same rows, Holm's correction), class_changes.csv,
    verdict.json, figures/ and one folder a checkpoint to --out (default: runs/compare); where
    the encoders differ in width, also common_dimension.csv, read at the smallest one.
    """
    from repdiag.cli import summary
    from repdiag.cli.gates import end_with
    from repdiag.cli.reading import metric_names, vector_options_of
    from repdiag.workflows.compare import compare_checkpoints, compare_vectors
    from repdiag.workflows.gates import parse_gates
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.targets import find_checkpoints, named_sources, with_reference
    from repdiag.workflows.vectors import all_vectors

    gates = parse_gates(fail_on)
    console = Console(as_json=as_json, quiet=quiet, verbose=verbose, progress=not no_progress)
    folder = out or Path("runs") / "compare"
    how: dict[str, Any] = {"told": console, "figures": figures, "overwrite": overwrite}
    reading = vector_options_of(column, label_column, group_column, tokens, quantised, unlabelled)
    if all_vectors(checkpoints):
        if reference is not None and reference not in named_sources(checkpoints):
            checkpoints = [*checkpoints, reference]
            reference = [*named_sources(checkpoints)][-1]
        named = named_sources(checkpoints)
        found = compare_vectors(
            named,
            folder,
            **how,
            reference=reference,
            seed=seed,
            labels=labels,
            groups="classes" if classes == "drawn" else groups,
            bank=bank or (),
            views=views or (),
            metrics=metric_names(metrics),
            reading=reading,
        )
    else:
        chosen = AnalysisOptions(
            data=data,
            per_class=per_class,
            max_rows=max_rows,
            max_minutes=max_minutes,
            seed=seed,
            limit=limit,
            classes=classes,
            untrained=untrained,
            device=resolve_device(device),
            batch_size=batch_size,
            workers=workers,
            fast=fast,
            cache=not no_cache,
            download=download,
            strict_data=strict_data,
            check_content=check_content,
        )
        targets = find_checkpoints(checkpoints, only=only, download=download, told=console)
        beside = None
        if reference is not None:
            targets, beside = with_reference(targets, reference, download=download)
        found = compare_checkpoints(targets, chosen, folder, reference=beside, **how)
    summary.show_comparison(console, found, folder, sorted((folder / "figures").glob("*.png")) if figures else [])
    if found.failures:
        raise typer.Exit(1)
    end_with(_gated(found, gates))


def _gated(found: Comparison, gates: tuple[Gate, ...]) -> Iterator[GateResult]:
    """Yield the result of every gate for every checkpoint but the reference."""
    from repdiag.workflows.gates import check_gates

    for name, diagnosis in found.diagnoses.items():
        if name != found.reference:
            rows = found.table.where(checkpoint=name)
            yield from check_gates(gates, diagnosis, rows, referenced=found.reference is not None)
