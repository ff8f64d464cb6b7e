"""Puts a run together from its settings: data, method, optimizer, state."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.config.overrides import apply_overrides, parse_settings, set_values
from repdiag.config.recipe_files import DEFAULT_RECIPE, read_recipe
from repdiag.config.short_runs import WARMUP, shortened_warmup
from repdiag.config.training import TrainSettings
from repdiag.core.distributed.world import World
from repdiag.core.errors import ConfigError, DataError, StoppedError, TrainingError
from repdiag.core.memory import is_out_of_memory
from repdiag.data.image_split import ImageSplit
from repdiag.data.loaders import TrainLoader
from repdiag.data.packed import pack
from repdiag.methods.base import Method
from repdiag.methods.build import build_method
from repdiag.methods.seed import Teacher
from repdiag.training.batch_norm import synchronize_batch_norm
from repdiag.training.compute import Compute
from repdiag.training.meters import Meters
from repdiag.training.opened import open_split
from repdiag.training.optimizers import build_optimizer
from repdiag.training.run_state import RunState, seed_everything
from repdiag.training.starting_point import load_teacher
from repdiag.training.step import Stepper

_LOG = logging.getLogger(__name__)


def resolve_settings(
    recipe: str | None = None,
    *,
    data: str | None = None,
    backbone: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    values: Mapping[str, Any] | None = None,
    overrides: list[str] | None = None,
    stored: Mapping[str, Any] | None = None,
) -> TrainSettings:
    """Return complete settings: recipe, then named options, then overrides, then what the data decides.

    Named options and `values` ("section.key" to value) are taken as they are, the text of `overrides` is read. Without
    a recipe the settings of a run, as its record has `stored` them, are the start; without either, the digits get their
    recipe and any other data the plain MoCo v2 of the papers. A warm-up that is longer than `epochs` is shortened.
    """
    options = {
        "data.dataset": data,
        "backbone.name": backbone,
        "schedule.epochs": epochs,
        "loop.batch_size": batch_size,
        "loop.seed": seed,
    }
    given = {key: value for key, value in options.items() if value is not None} | dict(values or {})
    if recipe is None and stored is not None:
        start = dict(stored)
    else:
        start = read_recipe(recipe or (DEFAULT_RECIPE if data in (None, "digits") else "moco_v2"))
    if epochs is not None and not any(text.partition("=")[0].strip() == WARMUP for text in overrides or ()):
        given |= _short_warmup(start, epochs)
    settings = parse_settings(apply_overrides(set_values(start, given), overrides or []))
    return fit_to_data(settings, open_train_split(settings))


def _short_warmup(start: Mapping[str, Any], epochs: int) -> dict[str, float]:
    """Return the warm-up that fits into so few epochs, and say so; nothing where it fits already."""
    warmup = shortened_warmup(start, epochs=epochs)
    if warmup is None:
        return {}
    before = start["schedule"]["warmup_epochs"]
    _LOG.warning(
        "the warm-up of %g epochs is longer than the %d of --epochs: it is shortened in proportion, to %g; --set "
        "%s=...",
        *(before, epochs, warmup, WARMUP),
    )
    return {WARMUP: warmup}


def open_train_split(settings: TrainSettings) -> ImageSplit:
    """Return the images to train on."""
    split, limit = _fit_to_train_on(open_split(settings, "train"), settings), settings.data.limit
    return split if limit is None else split.limited(limit)  # the same images whatever the seed of the run


def _fit_to_train_on(split: ImageSplit, settings: TrainSettings) -> ImageSplit:
    """Return the images that the method can learn from; the supervised one learns from those with a label."""
    if split.channels != 3:
        raise DataError(
            "training takes images of three channels",
            found=f"{split.name} has images of {split.channels}",
            hint="choose three after the data's path, such as ,channels=4+3+2",
        )
    if settings.method.name != "supervised" or bool((split.labels >= 0).all()):
        return split
    if not split.labelled:
        raise DataError(f"{split.name} has no labels, but the supervised method needs them")
    _LOG.warning("%d images without a label are left out", int((split.labels < 0).sum()))
    return split.subset(split.labels >= 0)


def silent(text: str) -> None:
    """Tell nobody."""
    del text


def never() -> bool:
    """Ask nobody to stop."""
    return False


def pack_images(
    settings: TrainSettings, split: ImageSplit, *, tell: Callable[[str], None], stop: Callable[[], bool] = never
) -> ImageSplit:
    """Return the images decoded once, where the settings ask for it; `tell` gets a line every few shards.

    Raises `StoppedError` between two shards when `stop` says so; what is packed is kept.
    """
    size = settings.data.pack
    if size is None:
        return split
    shown = 0

    def progress(done: int, total: int) -> None:
        nonlocal shown
        if stop() and done < total:
            raise StoppedError(
                "stopped while the images were packed",
                found=f"{done:,} of {total:,} images are packed and kept",
                hint="run the same command to continue",
            )
        if done == total or done - shown >= total / 20:
            shown = done
            tell(f"packed {done:,} of {total:,} images at {size} px")

    return pack(split, size, workers=settings.data.workers, progress=progress)


def fit_to_data(settings: TrainSettings, split: ImageSplit) -> TrainSettings:
    """Return the settings with everything decided that depends on the data."""
    fitted = settings.fitted(rows=len(split), native_size=split.native_size, preset=split.preset)
    if fitted.loop.batch_size < settings.loop.batch_size:
        wanted, rows = settings.loop.batch_size, fitted.loop.batch_size
        _LOG.warning("a batch of %d is more than the %d images: loop.batch_size=%d is used", wanted, rows, rows)
    return fitted


def _build(settings: TrainSettings, *, classes: int, teacher: Teacher | None, device: torch.device) -> Method:
    try:
        return build_method(settings, classes=classes, teacher=teacher).to(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "the networks do not fit into memory",
            found=str(error).splitlines()[0][:160],
            hint="choose a smaller backbone, projector.hidden_dim, method.queue_size, method.outputs or "
            "method.prototypes",
        ) from error


@dataclass(frozen=True, kw_only=True)
class GivenParts:
    """Images and a method that the caller brings along, in place of those that the settings name."""

    split: ImageSplit
    build: Callable[[int], Method]
    """Called with the number of classes; weights are drawn from torch's global generator."""


@dataclass(frozen=True)
class Assembly:
    """The parts of a run."""

    settings: TrainSettings
    split: ImageSplit
    labels: Tensor
    loader: TrainLoader
    stepper: Stepper
    state: RunState


def assemble(
    settings: TrainSettings,
    *,
    compute: Compute,
    world: World,
    teacher: Teacher | None = None,
    tell: Callable[[str], None] = silent,
    stop: Callable[[], bool] = never,
    given: GivenParts | None = None,
) -> Assembly:
    """Build everything for a run at step 0; weights are drawn from the run's seed.

    `tell` gets what takes long, and `stop` ends it.
    """
    split = open_train_split(settings) if given is None else given.split
    if split.notes and world.is_first:
        tell(f"images: {'; '.join(map(str, split.notes))}")
    settings = fit_to_data(settings, split)
    if settings.loop.batch_size % world.size:
        found = f"{settings.loop.batch_size} images over {world.size} processes"
        hint = f"loop.batch_size={max(1, settings.loop.batch_size // world.size) * world.size}"
        raise ConfigError("loop.batch_size must be a multiple of the number of processes", found=found, hint=hint)
    loaded = None if teacher is not None else load_teacher(settings, device=compute.device)
    if isinstance(teacher, nn.Module):
        teacher.to(compute.device)
    seed_everything(settings.loop.seed, "weights")  # after the teacher, so that students start as other encoders do
    classes = len(split.class_names)
    if given is not None:
        method = given.build(classes).to(compute.device)
    else:
        method = _build(settings, classes=classes, teacher=loaded.embed if loaded else teacher, device=compute.device)
    # Everything that may be refused has been by now: packing may take hours.
    if world.is_first:
        pack_images(settings, split, tell=tell, stop=stop)
    world.wait_for_long_work()  # the others find the pack
    split = pack_images(settings, split, tell=tell)
    size = settings.data.image_size
    assert size is not None
    loader = TrainLoader(
        split,
        settings.views.resolved(),
        image_size=size,
        batch_size=settings.loop.batch_size // world.size,
        seed=settings.loop.seed,
        workers=settings.data.workers,
        device=compute.device,
        rank=world.rank,
        world=world.size,
        iou=settings.views.iou_bounds,
    )
    if world.size > 1 and settings.loop.batch_norm == "synchronized":
        synchronize_batch_norm(method, device=compute.device)
    if compute.channels_last:
        method = method.to(memory_format=torch.channels_last)
    if settings.loop.compile:
        for network in method.branches().values():
            network.compile()
    optimizer = build_optimizer(method, settings.optimizer, lr=settings.optimizer.lr)
    stepper = Stepper(settings, method, optimizer, compute=compute)
    state = RunState(
        settings=settings,
        method=method,
        optimizer=optimizer,
        scaler=stepper.scaler,
        meters=Meters(compute.device),
        step=0,
        steps_per_epoch=len(loader),
        threads=torch.get_num_threads(),
        dataset_fingerprint=split.fingerprint,
        teacher_sha256=loaded.sha256 if loaded else None,
    )
    labels = torch.from_numpy(split.labels).to(compute.device)
    return Assembly(settings, split, labels, loader, stepper, state)
