"""`repdiag evaluate FILE`: numbers only, from vectors of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.core.errors import UsageError

Names = Annotated[str | None, typer.Option("--metrics", help="Comma-separated names; default: all that apply.")]


def evaluate(
    vectors: Annotated[
        Path, typer.Argument(help="A file (.npz, .npy, .parquet, .safetensors), a folder of parts, or a store.")
    ],
    labels: Annotated[Path | None, typer.Option("--labels", help="Class labels, one a row.")] = None,
    bank: Annotated[Path | None, typer.Option("--bank", help="The train set's vectors, for kNN and probes.")] = None,
    bank_labels: Annotated[Path | None, typer.Option("--bank-labels", help="Class labels of the bank's rows.")] = None,
    other: Annotated[Path | None, typer.Option("--other", help="A second encoder on the same rows, for CKA.")] = None,
    metrics: Names = None,
    protocol: options.Protocol = None,
    out: options.Out = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Compute metrics of vectors: text, audio, tabular or image embeddings, from any model."""
    from repdiag.cli import summary
    from repdiag.embeddings.as_embedding_set import as_embedding_set
    from repdiag.metrics.evaluate import evaluate as run
    from repdiag.results.transaction import check_place, replaced
    from repdiag.results.writing import write_run, write_tables

    console = Console(as_json=as_json)
    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    if names == []:
        raise UsageError("--metrics names no metric", hint="leave it out for all that apply; repdiag metrics list")
    if out is not None:
        check_place(out, overwrite=False, again="evaluate")
    table = run(
        as_embedding_set(vectors, labels=labels),
        names,
        protocol=protocol,
        bank=None if bank is None else as_embedding_set(bank, labels=bank_labels),
        other=None if other is None else as_embedding_set(other),
        seed=seed,
    )
    if out is not None:
        with replaced(out, overwrite=False, again="evaluate") as fresh:
            write_tables(table, fresh)
            write_run(fresh, kind="evaluate", options={"source": str(vectors), "seed": seed, "protocol": protocol})
    summary.show_rows(console, table)
    console.json(table.to_records())
