"""Runs a protocol that trains on images: the training loop with an encoder and a classifier, then the test images."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from repdiag.checkpoints.encoder import IMAGENET_STD, Encoder
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import ConfigError, DataError
from repdiag.downstream.cached_training import cached_probe, of_epochs
from repdiag.downstream.classifier import EncoderClassifier
from repdiag.downstream.fine_tuning import FineTuneSettings
from repdiag.downstream.frozen import FrozenSettings
from repdiag.downstream.label_subsets import listed_labels, share_of_labels
from repdiag.downstream.labelled_features import (
    Machine,
    extract_features,
    features_of,
    labelled,
    prepared_encoder,
    reading_of,
)
from repdiag.downstream.measures import measured
from repdiag.downstream.outcome import Outcome
from repdiag.downstream.trained import TrainedSettings

if TYPE_CHECKING:
    from repdiag.data.image_split import ImageSplit

_BATCH_NORM = {
    "train": "batch statistics in training, running ones on test",
    "eval": "running statistics, also in training",
    "first epoch": "batch statistics in the first epoch alone, running ones after it",
}


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a training run is kept, so that a killed one goes on; and what shows how far it is."""

    folder: Path
    spec: str
    progress: Any = None
    again: bool = False
    """Start again instead of going on."""


def probe_images(
    encoder: Encoder,
    settings: TrainedSettings,
    *,
    train: ImageSplit,
    test: ImageSplit,
    machine: Machine,
    place: Place,
) -> tuple[Outcome, EmbeddingSet]:
    """Train on images and return what the last epoch gives on test, and the test rows that it speaks of."""
    train, test, notes = _with_labels(train, test)
    prepared = prepared_encoder(encoder, settings, test)
    if settings.std is not None and tuple(prepared.info.std) == IMAGENET_STD:
        prepared.info = replace(prepared.info, std=settings.std)
    selection = "none: the last epoch counts; test read once"
    if isinstance(settings, FineTuneSettings):
        train, kept = _kept(train, settings)
        selection = f"{kept}; {selection}"
        settings = _by_steps(settings, rows=len(train))
    if isinstance(settings, FrozenSettings):
        outcome, rows = _frozen(prepared, settings, train=train, test=test, machine=machine, place=place)
    elif isinstance(settings, FineTuneSettings):
        outcome, rows = _fine_tuned(prepared, settings, train=train, test=test, machine=machine, place=place)
    else:
        raise TypeError(type(settings).__name__)
    said = {
        "features": features_of(rows),
        "row_scaling": settings.rows,
        **reading_of(prepared),
        "selection": selection,
        "epochs": settings.epochs_in_words(),
        "seeds": [settings.seed],
        "train_images": len(train),
    }
    normalisation = f"mean {prepared.info.mean}, std {prepared.info.std}"
    details = {**outcome.details, "normalisation": normalisation}
    return replace(outcome, said={**said, **outcome.said}, details=details, notes=(*notes, *outcome.notes)), rows


def _frozen(
    encoder: Encoder, settings: FrozenSettings, *, train: ImageSplit, test: ImageSplit, machine: Machine, place: Place
) -> tuple[Outcome, EmbeddingSet]:
    """Train a classifier on the frozen backbone and ask every epoch's of it about the same test features."""
    asked = extract_features(encoder, test, machine)
    assert isinstance(asked.labels, Tensor)
    if settings.augmentation == "none":
        return cached_probe(labelled(extract_features(encoder, train, machine), asked), settings), asked
    if settings.rows not in ("raw", "unit"):
        raise ConfigError(
            "features can only be standardised when they are extracted once",
            found=f"rows={settings.rows}",
            hint="--set augmentation=none",
        )
    logits = _epochs_on_images(encoder, settings, train=train, asked=asked, place=place, machine=machine)
    outcome = of_epochs(logits, asked.labels, settings, dataset=asked.provenance.dataset)
    return replace(outcome, details={"augmentation": _crops(settings)}), asked


def _crops(settings: TrainedSettings) -> str:
    low, high = settings.crop_scale
    return f"crops of {low:g} to {high:g} of the area, {settings.train_interpolation}, mirrored by chance"


def _epochs_on_images(
    encoder: Encoder,
    settings: FrozenSettings,
    *,
    train: ImageSplit,
    asked: EmbeddingSet,
    place: Place,
    machine: Machine,
) -> Iterator[Tensor]:
    """Yield the logits of the test features by the classifier of every epoch."""
    from repdiag.checkpoints.own.native import read_native

    method = _trained(encoder, settings, train=train, place=place, machine=machine)
    method.eval().cpu()
    for epoch in range(settings.epochs):
        state = read_native(place.folder / "checkpoints" / f"epoch_{epoch + 1:04d}.pt")
        method.load_extra_state(state["method"])
        with torch.inference_mode():
            yield method.logits(asked.features)


def _fine_tuned(
    encoder: Encoder, settings: FineTuneSettings, *, train: ImageSplit, test: ImageSplit, machine: Machine, place: Place
) -> tuple[Outcome, EmbeddingSet]:
    """Train the whole network and ask the last epoch's about the test images."""
    start = copy.copy(encoder)
    start._modules = {name: copy.deepcopy(module) for name, module in encoder._modules.items()}
    method = _trained(start, settings, train=train, place=place, machine=machine).eval()
    start._modules["backbone"] = method.backbone
    start.to(memory_format=torch.contiguous_format)
    # Not cached: nobody asks for the features of these weights again.
    asked = extract_features(start.eval(), test, replace(machine, cache=False))
    assert isinstance(asked.labels, Tensor)
    with torch.inference_mode():
        logits = method.cpu().logits(asked.features)
    found = measured(logits, asked.labels, settings, dataset=asked.provenance.dataset)
    said = {
        "batch_norm": _BATCH_NORM[settings.batch_norm],
        "last_epoch": float((logits.argmax(dim=1) == asked.labels).double().mean()),
        "best_on_test": "not measured: test is read once",
    }
    head = "kept up to its last layer" if settings.keep_head else "none"
    return Outcome(**found, said=said, details={"augmentation": _crops(settings), "projection_head": head}), asked


def _trained(
    encoder: Encoder, settings: TrainedSettings, *, train: ImageSplit, place: Place, machine: Machine
) -> EncoderClassifier:
    """Run the training loop in the place's folder, from where a killed run left it, and return the end of it."""
    from repdiag.checkpoints.own.native import read_native
    from repdiag.core.distributed.world import join_world
    from repdiag.training.assembly import GivenParts
    from repdiag.training.loop import Resume
    from repdiag.training.loop import train as run_loop

    head_lr = settings.head_lr if isinstance(settings, FineTuneSettings) else None
    run = settings.run_settings(encoder.info, spec=place.spec, workers=machine.workers, head_lr=head_lr)
    if isinstance(settings, FrozenSettings):
        run = run.changed(loop={"keep_every_epochs": 1})
    built: list[EncoderClassifier] = []

    def build(found: int) -> EncoderClassifier:
        built.append(EncoderClassifier(encoder, settings, classes=found, rows=settings.rows))
        return built[0]

    given = GivenParts(split=train, build=build)
    resume: Resume = "never" if place.again else "auto"
    with join_world(on_gpu=machine.device.startswith("cuda")) as world:
        last = run_loop(run, place.folder, resume=resume, device=machine.device, progress=place.progress, given=given)
        world.wait()  # the first process writes what all of them read
    state = read_native(last)
    method = built[0]
    for name, module in method.branches().items():
        module.load_state_dict(state[name])
    method.load_extra_state(state["method"])
    return method


def _with_labels(train: ImageSplit, test: ImageSplit) -> tuple[ImageSplit, ImageSplit, tuple[str, ...]]:
    for split in (train, test):
        if not split.labelled:
            raise DataError(f"{split.name} has no labels in {split.split}, which a protocol is about")
    if train.class_names != test.class_names:
        found = f"{len(train.class_names)} and {len(test.class_names)}"
        raise DataError(f"train and val of {train.name} have different classes", found=found)
    left = int((train.labels < 0).sum() + (test.labels < 0).sum())
    notes = (f"{left} images without a label are left out",) if left else ()
    return train.subset(train.labels >= 0), test.subset(test.labels >= 0), notes


def _kept(train: ImageSplit, settings: FineTuneSettings) -> tuple[ImageSplit, str]:
    """Return the train images whose labels are seen, and which they are in words."""
    if settings.label_list is not None:
        kept, which = listed_labels(train, settings.label_list)
        return kept, f"{len(kept)} train images by file name from {which}"
    if settings.labels >= 1.0:
        return train, "all train images"
    if train.name == "imagenet" and settings.labels in (0.01, 0.1):
        raise DataError(
            f"{100 * settings.labels:g} % of ImageNet means SimCLR's list",
            hint="--set label_list=1percent.txt or 10percent.txt of google-research/simclr, imagenet_subsets/",
        )
    kept = share_of_labels(train, settings.labels, seed=settings.seed)
    return kept, f"{len(kept)} train images, {100 * settings.labels:g} % of each class by seed {settings.seed}"


def _by_steps(settings: FineTuneSettings, *, rows: int) -> FineTuneSettings:
    if settings.steps is None:
        return settings
    per_epoch = max(1, rows // settings.batch_size)
    return settings.model_copy(update={"epochs": max(1, round(settings.steps / per_epoch))})
