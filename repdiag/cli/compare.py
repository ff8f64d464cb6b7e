"""`repdiag compare A B ...`: checkpoints side by side, on the same rows and views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from repdiag.cli import options
from repdiag.cli.reading import (
    ANALYSIS,
    NOTHING_TOLD,
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


@takes(reading=VECTORS, how=ANALYSIS, speaking=SPEAKING)
def compare(
    checkpoints: Annotated[
        list[str],
        typer.Argument(help="Checkpoint files, run directories, names in the manifest, a manifest file; or vectors."),
    ],
    labels: Annotated[Path | None, typer.Option("--labels", help="Class labels of vectors, for all of them.")] = None,
    groups: Annotated[Path | None, typer.Option("--groups", help="Which rows of vectors were drawn together.")] = None,
    bank: Annotated[
        list[str] | None, typer.Option("--bank", help="Vectors of the train set: one file per set, in the same order.")
    ] = None,
    views: Annotated[
        list[str] | None, typer.Option("--views", help="Vectors of another view: one file per set, in the same order.")
    ] = None,
    metrics: options.MetricNames = None,
    reading: Typed = NOTHING_TOLD,
    out: options.Out = None,
    only: Annotated[str | None, typer.Option("--only", help="Only manifest ids that match this glob.")] = None,
    how: Typed = NOTHING_TOLD,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="A checkpoint, named or new, to compare all others with."),
    ] = None,
    figures: Annotated[bool, typer.Option(help="Draw the figures.")] = True,
    fail_on: options.FailOn = None,
    probe: Annotated[
        str | None,
        typer.Option("--probe", help="Also run these protocols, comma-separated; see repdiag probe --list."),
    ] = None,
    overwrite: options.Overwrite = False,
    speaking: Typed = NOTHING_TOLD,
) -> None:
    """Compare checkpoints side by side. After an interruption it continues and keeps finished checkpoints.

    A manifest sets branch, backbone, input size and normalisation of each entry. Missing checkpoints are
    listed, and --download fetches them. Unreadable files are left out and named; the exit code is then 1.
    Writes metrics.csv, paired_tests.csv (every pair on the same rows, Holm-corrected), class_changes.csv,
    verdict.json, figures/ and one folder per checkpoint to --out (default: runs/compare).
    """
    from repdiag.cli import summary
    from repdiag.cli.gates import end_with
    from repdiag.core.distributed.first_process import is_first_process
    from repdiag.core.errors import UsageError
    from repdiag.results.places import default_place
    from repdiag.workflows.compare import compare_checkpoints, compare_vectors
    from repdiag.workflows.gates import check_comparison, parse_gates
    from repdiag.workflows.targets import find_checkpoints, named_sources, with_reference
    from repdiag.workflows.vectors import all_vectors

    gates = parse_gates(fail_on)
    first = is_first_process()
    console = console_of(speaking, speaks=first)
    folder = out or default_place("compare")
    kept: dict[str, Any] = {"told": console, "figures": figures, "overwrite": overwrite}
    if all_vectors(checkpoints):
        if probe is not None:
            raise UsageError("--probe belongs to checkpoints", hint="repdiag.probe(test, bank=train) takes vectors")
        if reference is not None and reference not in named_sources(checkpoints):
            checkpoints = [*checkpoints, reference]
            reference = [*named_sources(checkpoints)][-1]
        found = compare_vectors(
            named_sources(checkpoints),
            folder,
            **kept,
            reference=reference,
            **vector_asked_of(how),
            labels=labels,
            groups="classes" if how["classes"] == "drawn" else groups,
            bank=bank or (),
            views=views or (),
            metrics=metric_names(metrics),
            reading=vector_options_of(reading),
        )
    else:
        protocols = tuple(name.strip() for name in (probe or "").split(",") if name.strip())
        chosen = replace(analysis_options_of(how), probes=protocols)
        targets = find_checkpoints(checkpoints, only=only, download=how["download"], told=console)
        beside = None
        if reference is not None:
            targets, beside = with_reference(targets, reference, download=how["download"])
        found = compare_checkpoints(targets, chosen, folder, reference=beside, **kept)
    if not first:
        return
    drawn = sorted((folder / "figures").glob("*.png")) if figures else []
    summary.show_comparison(console, found, folder, drawn, told=out is not None)
    if found.failures:
        raise typer.Exit(1)
    end_with(check_comparison(gates, found))
