"""`repdiag embed CHECKPOINT`: features of images, stored for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device


def embed(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    data: options.Data = None,
    branch: options.Branch = None,
    backbone: options.Backbone = None,
    prefix: options.Prefix = None,
    heads: options.Heads = None,
    stem_padding: options.StemPadding = None,
    image_size: options.ImageSize = None,
    mean: options.Mean = None,
    std: options.Std = None,
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
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    no_progress: options.NoProgress = False,
) -> None:
    """Extract the features of every image of a split and store them: safetensors, parquet rows, a manifest.

    --out names a folder (default: runs/embeddings/NAME-SPLIT).
    """
    import shutil

    from repdiag.checkpoints.load import load_with_options
    from repdiag.cli.reading import read_options_of
    from repdiag.config.views import EvaluationSettings
    from repdiag.core.errors import UsageError
    from repdiag.data.datasets import open_dataset
    from repdiag.embeddings.extract import extract
    from repdiag.embeddings.store import save_embedding_set
    from repdiag.workflows.targets import find_checkpoint

    console = Console(as_json=as_json, quiet=quiet, progress=not no_progress)
    target = find_checkpoint(checkpoint, download=download)
    read_options = read_options_of(
        branch=branch,
        backbone=backbone,
        prefix=prefix,
        heads=heads,
        stem_padding=stem_padding,
        image_size=image_size,
        mean=mean,
        std=std,
    )
    encoder = load_with_options(target.path, read_options.over(target.read_options), name=target.name)
    spec = data or encoder.info.training.get("data")
    if spec is None:
        raise UsageError(f"{target.path.name} does not say which images to embed", hint="name some with --data")
    if split not in ("train", "val"):
        raise UsageError(f"unknown split {split!r}", hint="one of: train, val")
    folder = out or Path("runs") / "embeddings" / f"{target.name.replace('/', '-')}-{split}"
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder} already exists", hint="choose another --out, or give --overwrite")
    images = open_dataset(str(spec), "train" if split == "train" else "val", download=download, strict=strict_data)
    if limit is not None:
        images = images.limited(limit, seed=seed)
    settings = EvaluationSettings(preset=images.preset, seed=seed, views=views)
    with console.counting(f"{target.name}: {split}") as progress:
        found = extract(
            encoder,
            images,
            settings=settings,
            device=resolve_device(device),
            batch_size=batch_size,
            workers=workers,
            fast=fast,
            progress=progress,
        )
    shutil.rmtree(folder, ignore_errors=True)
    save_embedding_set(found, folder)
    rows, dims = found.features.shape
    console.say(f"{rows} rows x {dims} features ({encoder.info.layer}) in {folder}")
    console.json({"folder": str(folder), "rows": rows, "dims": dims, "encoder": encoder.info.to_dict()})
