"""`repdiag export RUN --to FORMAT`: stored embeddings for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

Format = Literal["parquet", "tensorboard-projector", "knn-graph"]
To = Annotated[Format, typer.Option("--to", help="Format: parquet, TensorBoard projector, or CSR graph (.npz).")]


def export(
    run: Annotated[
        Path, typer.Argument(help="The folder of a finished analysis, comparison or analyzed training run.")
    ],
    to: To = "parquet",
    out: options.Out = None,
    split: Annotated[str, typer.Option("--split", help="train or val.")] = "val",
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Write the embeddings of every checkpoint of a run for another tool, without images or a GPU.

    parquet: vectors, 2-D coordinates, image path, label, cluster and, after `analyze --per-row` or `compare`, metric
    values of each image. --out names a folder (default: export/ in the run).
    """
    from repdiag.core.errors import StoreError
    from repdiag.results.reading import read_run, results_in
    from repdiag.results.transaction import filed
    from repdiag.workflows.exports import export_set

    console = Console(as_json=as_json)
    run = results_in(run)
    stored = read_run(run)
    folder = out or run / "export"
    written = []
    with filed(folder, run=run, kind="export") as fresh:
        for name, part in stored.parts.items():
            found = stored.embeddings(name).get(split)
            if found is None:
                kept = " or ".join(stored.embeddings(name))
                own = "vectors of --embeddings are not stored again: use the original file"
                hint = f"--split {kept}" if kept else own
                raise StoreError(f"{run} holds no embeddings of {name} on {split}", hint=hint)
            path = export_set(found, part, fresh / f"{name.replace('/', '-')}-{split}", to=to, seed=seed)
            written.append(folder / path.relative_to(fresh))
            console.say(f"{len(found)} rows: {written[-1].name}")
    console.say_place(folder, told=out is not None)
    console.json({"written": [str(path) for path in written]})
