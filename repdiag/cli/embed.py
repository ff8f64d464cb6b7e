"""`repdiag embed CHECKPOINT`: features of images, stored for use elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device
from repdiag.cli.reading import NOTHING_TOLD, takes_read_options
from repdiag.workflows.typed_options import Told, read_options_of


@takes_read_options
def embed(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    data: options.Data = None,
    told: Told = NOTHING_TOLD,
    split: Annotated[str, typer.Option("--split", help="train or val.")] = "val",
    views: Annotated[int, typer.Option("--views", min=0, help="Augmented views of each image.")] = 0,
    out: options.Out = None,
    seed: options.Seed = 0,
    limit: options.Limit = None,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 256,
    workers: options.Workers = 0,
    fast: options.Fast = False,
    download: options.Download = False,
    strict_data: options.StrictData = False,
    check_content: options.CheckContent = False,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Extract the features of every image of a split and store them: safetensors, parquet rows, a manifest.

    --out names a folder (default: embeddings/ in the run, else
    runs/embeddings/NAME-SPLIT).
    """
    from repdiag.workflows.embed import embed as run
    from repdiag.workflows.saving import embeddings_folder
    from repdiag.workflows.targets import find_checkpoint

    console = Console(as_json=as_json, quiet=quiet, progress=not no_progress)
    target = find_checkpoint(checkpoint, download=download)
    read_options = read_options_of(told)
    folder = embeddings_folder(out, target, split, overwrite=overwrite)
    notes: list[str] = []
    with console.counting(f"{target.name}: {split}") as progress:
        found = run(
            target,
            data=data,
            split=split,
            views=views,
            out=folder,
            limit=limit,
            seed=seed,
            overwrite=overwrite,
            read_options=read_options,
            download=download,
            strict_data=strict_data,
            check_content=check_content,
            say=notes.append,
            progress=progress,
            device=resolve_device(device),
            batch_size=batch_size,
            workers=workers,
            fast=fast,
        )
    for note in notes:
        console.say(f"note: {note}")
    rows, dims = found.features.shape
    console.say(f"{rows} rows x {dims} features ({found.provenance.layer})")
    console.say_place(folder, told=out is not None)
    record = {"rows": rows, "dims": dims, "provenance": found.provenance.to_dict(), "notes": notes}
    console.json({"folder": str(folder), **record})
