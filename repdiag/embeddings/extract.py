"""From an encoder and images to an `EmbeddingSet`: originals and their seeded views, row by row."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder
from repdiag.config.views import EvaluationSettings
from repdiag.core.distributed import rows as processes
from repdiag.core.distributed.agreement import all_agree
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.core.memory import keep_freed_memory
from repdiag.core.provenance import Provenance
from repdiag.core.shapes import Float
from repdiag.data.image_split import ImageSplit
from repdiag.data.views import EvaluationViews
from repdiag.data.workers import over_workers
from repdiag.embeddings.cache import EmbeddingCache
from repdiag.embeddings.fast import FastEncoder, fast_type
from repdiag.embeddings.normalization import Normalization, normalization_of

Progress = Callable[[int, int], None]

# Pixels that a CPU encodes at a time: five images of 224 px. What their layers give stays in memory that is used again;
# larger tensors are mapped anew by the system for every layer, which takes longer than their arithmetic.
_PIXELS = 1 << 18


def extract(
    encoder: Encoder,
    split: ImageSplit,
    *,
    settings: EvaluationSettings | None = None,
    device: str | torch.device = "cpu",
    batch_size: int = 256,
    workers: int = 0,
    cache: EmbeddingCache | None = None,
    distributed: bool = False,
    fast: bool = False,
    progress: Progress | None = None,
) -> EmbeddingSet:
    """Run the encoder in eval mode over every image of `split` and its seeded views.

    Shapes: N images -> features [N, D], views [V, N, D], projections where the encoder has a projector. Batch size,
    device and worker count change nothing beyond rounding and are not part of the cache key. With `distributed` every
    process of the group makes this same call, runs its share of the images, and gets all rows. `fast` runs a faster
    copy of the encoder (see `fast.py`), in bfloat16 where the device has units for it; the provenance says so.
    """
    chosen = settings or EvaluationSettings(preset=split.preset)
    views = evaluation_views(encoder, chosen)
    place = torch.device(device)
    arithmetic = arithmetic_of(place, fast=fast)
    normal = normalization_of(encoder, split)

    def make() -> EmbeddingSet:
        own = split.subset(processes.rows_of_this_process(len(split))) if distributed else split
        batches = _batches(own, views, batch_size, workers, pin_memory=place.type == "cuda")
        if place.type == "cpu":
            keep_freed_memory()
        runner = FastEncoder(encoder, dtype=fast_type(place)) if fast else encoder
        with nullcontext() if fast else _float32_convolutions():
            parts = [_forward(runner, batch, place, normal) for batch in _counted(batches, len(own), progress)]
        arrays = _joined(parts)
        if distributed:
            arrays = _of_all_processes(arrays, len(split))
        return _assemble(arrays, split, _provenance(encoder, split, views, arithmetic=arithmetic))

    if distributed:
        processes.require_group()
        if len(split) < dist.get_world_size():
            raise UsageError(
                "there are fewer images than processes",
                found=f"{len(split)} images, {dist.get_world_size()} processes",
                hint="start fewer processes",
            )
    encoder.to(place)
    agree = all_agree if distributed else bool
    key = _cache_key(encoder, split, views, normal, arithmetic=arithmetic)
    made = make() if cache is None else cache.get_or_make(key, make, agree=agree)
    # The same weights may have been stored under another file name.
    return replace(made, provenance=_provenance(encoder, split, views, arithmetic=arithmetic))


def arithmetic_of(device: torch.device, *, fast: bool) -> str:
    """Return what the provenance calls the arithmetic: "float32", or the type of the faster copy."""
    return f"{str(fast_type(device)).removeprefix('torch.')}, fast" if fast else "float32"


def evaluation_views(encoder: Encoder, settings: EvaluationSettings) -> EvaluationViews:
    """Return the view maker at the encoder's input size; the draws depend on seed and row alone."""
    info = encoder.info
    return EvaluationViews(
        settings, info.image_size, resize=info.resize, interpolation=info.interpolation, squash=info.squash
    )


@contextmanager
def _float32_convolutions() -> Iterator[None]:
    """Keep a GPU's convolutions from cutting float32 numbers to TF32, as torch lets them by default."""
    setting = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = setting.fp32_precision
    setting.fp32_precision = "ieee"
    try:
        yield
    finally:
        setting.fp32_precision = before


@dataclass(frozen=True)
class _Part:
    features: Tensor
    views: Tensor
    projections: Tensor | None
    view_projections: Tensor | None


class _RowBatches(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Decodes and augments one batch of rows an item, so that worker processes share nothing but row numbers."""

    def __init__(self, split: ImageSplit, views: EvaluationViews, batch_size: int) -> None:
        self.split, self.views, self.batch_size = split, views, batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        start = item * self.batch_size
        rows = np.arange(start, min(start + self.batch_size, len(self.split)))
        return self.views.batch(self.split, rows)


def _batches(
    split: ImageSplit, views: EvaluationViews, batch_size: int, workers: int, *, pin_memory: bool
) -> Iterator[tuple[Tensor, Tensor]]:
    return over_workers(_RowBatches(split, views, batch_size), workers=workers, pin_memory=pin_memory)


def _counted(
    batches: Iterator[tuple[Tensor, Tensor]], total: int, progress: Progress | None
) -> Iterator[tuple[Tensor, Tensor]]:
    done = 0
    for originals, views in batches:
        yield originals, views
        done += len(originals)
        if progress is not None:
            progress(done, total)


@torch.inference_mode()
def _forward(encoder: Encoder, batch: tuple[Tensor, Tensor], device: torch.device, normal: Normalization) -> _Part:
    if any(module.training for module in encoder.modules()):
        raise CheckpointError("the encoder is in training mode", hint="call encoder.eval() before extracting")
    originals, views = batch
    features, projections = encode(encoder, originals, device=device, normal=normal)
    encoded = [encode(encoder, view, device=device, normal=normal) for view in views]
    dims = features.shape[1]
    return _Part(
        features=features,
        views=torch.stack([item[0] for item in encoded]) if encoded else features.new_zeros(0, len(features), dims),
        projections=projections,
        view_projections=_stack([item[1] for item in encoded]),
    )


def encode(
    encoder: Encoder, images: Float[Tensor, "B C H W"], *, device: torch.device, normal: Normalization
) -> tuple[Tensor, Tensor | None]:
    """Return the features of a batch and, of an encoder with a projector, its projections; on a CPU part by part."""
    together = len(images) if device.type != "cpu" else max(1, _PIXELS // (images.shape[2] * images.shape[3]))
    features, projections = [], []
    for part in torch.split(images, together):
        found = encoder(normal.apply(part.to(device, non_blocking=True)))
        projected = encoder.project(found)
        features.append(found.float().cpu())
        projections += [] if projected is None else [projected.float().cpu()]
    return torch.cat(features), torch.cat(projections) if projections else None


def _stack(parts: list[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.stack(present) if present and len(present) == len(parts) else None


_ROW_AXIS = {"features": 0, "projections": 0, "views": 1, "view_projections": 1}


def _joined(parts: list[_Part]) -> dict[str, Tensor]:
    """Return the arrays of all batches together, those that every batch has."""
    arrays = {}
    for name, axis in _ROW_AXIS.items():
        present = [value for part in parts if (value := getattr(part, name)) is not None]
        if present and len(present) == len(parts):
            arrays[name] = torch.cat(present, dim=axis).clone()
    return arrays


def _of_all_processes(arrays: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    return {
        name: processes.from_all_processes(own, count=count, axis=_ROW_AXIS[name]) if own.numel() else own
        for name, own in arrays.items()
    }


def _assemble(arrays: dict[str, Tensor], split: ImageSplit, provenance: Provenance) -> EmbeddingSet:
    views = arrays.get("views")
    return EmbeddingSet(
        features=arrays["features"],
        projections=arrays.get("projections"),
        labels=torch.as_tensor(np.asarray(split.labels, dtype=np.int64)) if split.labelled else None,
        views=views if views is not None and len(views) else None,
        view_projections=arrays.get("view_projections"),
        row_ids=split.row_ids,
        class_names=tuple(split.class_names) if split.labelled else None,
        provenance=provenance,
    )


def _provenance(encoder: Encoder, split: ImageSplit, views: EvaluationViews, *, arithmetic: str) -> Provenance:
    info = encoder.info
    return Provenance(
        checkpoint=info.name,
        checkpoint_sha256=info.sha256,
        epoch=info.epoch,
        backbone=info.backbone,
        layer=info.layer,
        dataset=split.name,
        split=split.split,
        dataset_fingerprint=split.fingerprint,
        transform=views.fingerprint,
        views_seed=views.settings.seed,
        dtype=arithmetic,
    )


def _cache_key(
    encoder: Encoder, split: ImageSplit, views: EvaluationViews, normal: Normalization, *, arithmetic: str
) -> str:
    """Name what the values depend on: weights, what is read of them, pixels. The checkpoint's name is not among it."""
    return EmbeddingCache.key(
        {
            "weights": weights_digest(encoder),
            "layer": encoder.info.layer,
            "normalization": (normal.mean, normal.std),
            "facts": [normal.bgr, *((fact.name, fact.value) for fact in encoder.info.facts)],
            "rows": split.fingerprint,
            "views": views.fingerprint,
            "dtype": arithmetic,
        }
    )


def weights_digest(module: nn.Module) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of all parameters and buffers, and the module's layout.

    The layout is part of it because two architectures can share every tensor and differ in an activation or a stride.
    """
    import hashlib

    digest = hashlib.sha256(repr(module).encode("utf-8"))
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
