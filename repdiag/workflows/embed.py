"""`embed`: the features of every image of a split, stored for use elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.data.image_split import ImageSplit
    from repdiag.embeddings.extract import Progress

SPLITS = ("train", "val")


def embed(
    source: Any,
    *,
    data: str | None = None,
    split: str = "val",
    views: int = 0,
    out: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    read_options: ReadOptions | None = None,
    download: bool = False,
    strict_data: bool = False,
    check_content: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    **extraction: Any,
) -> EmbeddingSet:
    """Return features [N, D] of the images of a split, with labels, names and `views` augmented views of each.

    `source` is a checkpoint file, the folder of a training run, a name in the manifest, or an `Encoder`. `data` names
    the images ("digits", "imagefolder:PATH"; default: the training data). `limit` takes this many images, evenly over
    the classes. `say` receives messages about reading, line by line; `check_content` reads files again even if they
    seem unchanged. `out` also stores the set in a folder: safetensors, parquet rows, a manifest. `extraction` goes to
    `repdiag.extract` (device, batch_size, workers, fast). Under torchrun, every process makes this call and runs its
    share of the images; each machine holds the rows once, and the first process stores them.

    Raises `UsageError` for an invalid split or folder, `CheckpointError` and `DataError` for files that cannot be read.

    Example:
        >>> import repdiag
        >>> from torch import nn
        >>> encoder = repdiag.load_encoder(nn.Sequential(nn.AvgPool2d(4), nn.Flatten()), image_size=16)
        >>> repdiag.embed(encoder, data="digits", limit=20).features.shape
        torch.Size([20, 48])
    """
    from repdiag.core.distributed.first_process import is_first_process
    from repdiag.core.distributed.world import join_world
    from repdiag.data.datasets import open_dataset
    from repdiag.embeddings.extract import extract
    from repdiag.embeddings.store import write_embedding_set
    from repdiag.results.transaction import check_place, replaced
    from repdiag.workflows.analyze import load_source
    from repdiag.workflows.options import AnalysisOptions

    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", hint=f"one of: {', '.join(SPLITS)}")
    if out is not None and is_first_process():
        check_place(Path(out), overwrite=overwrite)
    options = AnalysisOptions(read_options=read_options or ReadOptions(), download=download)
    encoder, _ = load_source(source, options)
    spec = data or encoder.info.training.get("data")
    if spec is None:
        raise UsageError(f"{encoder.info.name} does not say which images to embed", hint="choose images with --data")
    images = open_dataset(str(spec), split, download=download, strict=strict_data, check_content=check_content)
    if say is not None:
        for line in (*map(str, images.notes), *_left_out(images)):
            say(f"images: {line}")
    if limit is not None:
        images = images.limited(limit, seed=seed)
    from repdiag.config.views import EvaluationSettings

    settings = EvaluationSettings(preset=images.preset, seed=seed, views=views)
    with join_world(on_gpu=str(extraction.get("device", "cpu")).startswith("cuda")) as world:
        asked: dict[str, Any] = {"distributed": world.size > 1, **extraction}
        found = extract(encoder, images, settings=settings, progress=progress, **asked)
        if out is not None and world.is_first:
            with replaced(Path(out), overwrite=overwrite) as fresh:
                write_embedding_set(found, fresh)
        world.wait_for_long_work()
    return found


def _left_out(images: ImageSplit) -> tuple[str, ...]:
    """Return a line on the files that were left out, with the first of them."""
    if not images.excluded:
        return ()
    first = images.excluded[0]
    return (f"{len(images.excluded)} files were left out, the first {first.path}: {first.reason}",)
