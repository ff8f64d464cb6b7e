"""`repdiag evaluate FILE`: numbers only, from vectors of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.cli.reading import EFFORT, NOTHING_TOLD, VECTORS, Typed, metric_names, takes, vector_options_of


@takes(reading=VECTORS, effort=EFFORT)
def evaluate(
    vectors: Annotated[
        Path,
        typer.Argument(
            help="A file of vectors, a folder or pattern of parts, a URL (s3://, hf://), or a folder of `repdiag "
            "embed`."
        ),
    ],
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Class labels, one per row, or matched by row names.")
    ] = None,
    groups: Annotated[
        str | None, typer.Option("--groups", help="Rows drawn together: a file with one value per row; or classes.")
    ] = None,
    bank: options.Bank = None,
    bank_labels: options.BankLabels = None,
    other: Annotated[Path | None, typer.Option("--other", help="A second encoder on the same rows, for CKA.")] = None,
    views: options.ViewFiles = None,
    metrics: options.MetricNames = None,
    reading: Typed = NOTHING_TOLD,
    effort: Typed = NOTHING_TOLD,
    protocol: options.Protocol = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compute metrics of vectors: embeddings of text, audio, tables or images, from any model."""
    from repdiag.results.terminal_tables import rows_table
    from repdiag.results.transaction import check_place
    from repdiag.workflows.saving import save_evaluation
    from repdiag.workflows.vectors import evaluate_vectors

    console = Console(as_json=as_json)
    names = metric_names(metrics)
    if out is not None:
        check_place(out, overwrite=False, again="evaluate")
    table, notes = evaluate_vectors(
        vectors,
        labels=labels,
        groups=groups,
        bank=bank,
        bank_labels=bank_labels,
        other=other,
        views=views or (),
        metrics=names,
        options=vector_options_of(reading),
        protocol=protocol,
        seed=seed,
        **effort,
    )
    if out is not None:
        save_evaluation(table, out, notes, source=str(vectors), seed=seed, protocol=protocol)
    for note in notes:
        console.say(f"note: {note}")
    console.table(rows_table(table))
    console.json(table.to_records())
    if names and all(row.value is None for row in table):
        console.say("none of the metrics asked for has a value")
        raise typer.Exit(1)
