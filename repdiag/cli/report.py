"""`repdiag report RUN`: one self-contained page of an analysis or a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

Map = Annotated[Literal["umap", "tsne", "pca", "none"], typer.Option("--map", help="How the interactive map is made.")]


def report(
    run: Annotated[
        Path, typer.Argument(help="The folder of a finished analysis, comparison or analyzed training run.")
    ],
    out: options.Out = None,
    map_method: Map = "umap",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Write one HTML file that opens offline: judgement first, then evidence, tables, figures and the map.

    Default --out: report.html in the run's folder.
    """
    from repdiag.cli.run_directory import results_in
    from repdiag.report.build import build_report

    console = Console(as_json=as_json)
    run = results_in(run)
    path = build_report(run, out or run / "report.html", map_method=map_method, seed=seed)
    console.say(f"report: {path} ({path.stat().st_size / 1e6:.1f} MB)")
    console.json({"report": str(path), "bytes": path.stat().st_size})
