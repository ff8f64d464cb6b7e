"""`repdiag report RUN`: one self-contained page of an analysis or a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device

Map = Annotated[Literal["umap", "tsne", "pca", "none"], typer.Option("--map", help="Method of the interactive map.")]


def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_OR_MANIFEST",
            help="The folder of a finished analysis, comparison or analyzed training run; or a manifest to compare.",
        ),
    ],
    out: options.Out = None,
    data: options.Data = None,
    limit: options.Limit = None,
    device: options.Device = "auto",
    map_method: Map = "umap",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Write one offline HTML page: the verdict first, then evidence, tables, figures and the map.

    Default --out: report.html in the run's folder. For a manifest, the unfinished part of `repdiag compare MANIFEST` in
    runs/NAME runs first, with --data, --limit and --device; the exit code is 1 if a checkpoint cannot be read.
    """
    from repdiag.checkpoints.sources.manifest_path import is_manifest
    from repdiag.results.reading import results_in
    from repdiag.workflows.compare import compare_manifest
    from repdiag.workflows.report import build_report

    console = Console(as_json=as_json)
    complete = True
    if is_manifest(run):
        told = Console(as_json=as_json, quiet=as_json, progress=not as_json)
        found = compare_manifest(run, told=told, data=data, limit=limit, device=resolve_device(device))
        run, complete = found.folder, not found.failures
    run = results_in(run)
    path = build_report(run, out or run / "report.html", map_method=map_method, seed=seed)
    console.say_place(path, told=out is not None, more=f"{path.stat().st_size / 1e6:.1f} MB")
    console.json({"report": str(path), "bytes": path.stat().st_size})
    if not complete:
        raise typer.Exit(1)
