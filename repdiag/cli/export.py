"""`repdiag export RUN --to FORMAT`: stored embeddings for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

if TYPE_CHECKING:
    from repdiag.core.embedding_set import EmbeddingSet

Format = Literal["parquet", "tensorboard-projector", "knn-graph"]
To = Annotated[Format, typer.Option("--to", help="Embedding viewers, TensorBoard's projector, or a CSR graph (.npz).")]


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

    parquet: vectors, 2-D coordinates, image path, label, cluster and, after `analyze --per-row` or `compare`, the parts
    of the metrics by image. --out names a folder (default: export/ in the run).
    """
    from repdiag.core.errors import StoreError
    from repdiag.results.reading import read_run, results_in
    from repdiag.results.transaction import filed

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
                own = "vectors of --embeddings are not stored again: take the file itself"
                hint = f"--split {kept}" if kept else own
                raise StoreError(f"{run} holds no embeddings of {name} on {split}", hint=hint)
            path = _write(found, part, fresh, name=f"{name.replace('/', '-')}-{split}", to=to, seed=seed)
            written.append(folder / path.relative_to(fresh))
            console.say(f"{len(found)} rows: {written[-1].name}")
    console.say_place(folder, told=out is not None)
    console.json({"written": [str(path) for path in written]})


def _write(found: EmbeddingSet, part: Path, folder: Path, *, name: str, to: Format, seed: int) -> Path:
    from repdiag.workflows import exports

    if to == "knn-graph":
        return exports.export_graph(found, folder / f"{name}.npz")
    if to == "tensorboard-projector":
        return exports.export_projector(found, folder / name, seed=seed).parent
    import pandas as pd

    rows = part / "per_row.parquet"
    by_row = pd.read_parquet(rows) if rows.is_file() else None
    return exports.export_parquet(found, folder / f"{name}.parquet", rows=by_row, seed=seed)
