"""`repdiag embed CHECKPOINT`: features of images, stored for use elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import resolve_device
from repdiag.cli.reading import IMAGES, NOTHING_TOLD, READING, SPEAKING, Typed, console_of, takes
from repdiag.core.distributed.first_process import is_first_process
from repdiag.workflows.typed_options import read_options_of


@takes(told=READING, images=IMAGES, speaking=SPEAKING)
def embed(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    images: Typed = NOTHING_TOLD,
    told: Typed = NOTHING_TOLD,
    split: Annotated[str, typer.Option("--split", help="train or val.")] = "val",
    views: Annotated[int, typer.Option("--views", min=0, help="Augmented views of each image.")] = 0,
    out: options.Out = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    batch_size: options.BatchSize = 256,
    workers: options.Workers = 0,
    fast: options.Fast = False,
    overwrite: options.Overwrite = False,
    speaking: Typed = NOTHING_TOLD,
) -> None:
    """Extract the features of every image of a split and store them: safetensors, parquet rows, a manifest.

    --out names a folder (default: embeddings/ in the run, else runs/embeddings/NAME-SPLIT).
    """
    from repdiag.workflows.embed import embed as run
    from repdiag.workflows.saving import embeddings_folder
    from repdiag.workflows.targets import find_checkpoint

    console = console_of(speaking, speaks=is_first_process())
    target = find_checkpoint(checkpoint, download=images["download"])
    folder = embeddings_folder(out, target, split, overwrite=overwrite or not is_first_process())
    notes: list[str] = []
    with console.counting(f"{target.name}: {split}") as progress:
        found = run(
            target,
            **images,
            split=split,
            views=views,
            out=folder,
            seed=seed,
            overwrite=overwrite,
            read_options=read_options_of(told),
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
