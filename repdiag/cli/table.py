"""`repdiag table RUN ...`: headline metrics for a paper, a README or a spreadsheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

To = Annotated[Literal["latex", "markdown", "csv", "html"], typer.Option("--to", help="Format of the table.")]


def table(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished analyses or comparisons, or analyzed runs.")],
    to: To = "markdown",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file to write instead of printing.")] = None,
    overwrite: options.Overwrite = False,
    metrics: options.MetricNames = None,
    names: options.Names = None,
    untrained: Annotated[bool, typer.Option(help="Also show the untrained copies.")] = True,
    intervals: Annotated[bool, typer.Option(help="Show the 95 % intervals.")] = True,
    as_json: options.Json = False,
) -> None:
    """Print the headline metrics of finished runs as a table; marks the best value and values that share the lead.

    In a comparison, paired tests decide the marks. For several runs, intervals decide, and only if the runs were
    measured on the same images.
    """
    from repdiag.cli.reading import metric_names
    from repdiag.workflows.table import headline_text, write_table

    chosen = {"names": options.listed(names), "metrics": metric_names(metrics) or ()}
    text, notes = headline_text(runs, to, **chosen, untrained=untrained, intervals=intervals)
    console = Console(as_json=as_json)
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    console.say(text.rstrip("\n") if out is None else f"results: {write_table(text, out, overwrite=overwrite)}")
    console.json({"table": text, "format": to, "notes": list(notes)})
