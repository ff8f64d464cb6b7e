"""`TrainSettings`: everything a training run depends on, typed; a recipe, the data and overrides fill it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from repdiag.config.method_settings import MethodSettings, MoCoV2Settings
from repdiag.config.views import (
    DIFFICULTY_IOU,
    Difficulty,
    Interval,
    ViewSettings,
    changed_view,
    check_overlap,
    view_preset,
)
from repdiag.core.errors import ConfigError

Positive = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Deviation = Annotated[float, Field(gt=0.0)]
Beta = Annotated[float, Field(ge=0.0, lt=1.0)]
AUTO: Literal["auto"] = "auto"


_COMPARES_VIEWS = ("moco_v2", "simclr", "swav", "dino")


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DataSettings(_Settings):
    """Which images, at which size, normalised how."""

    dataset: str = "digits"
    root: str | None = None
    download: bool = False
    image_size: Positive | None = None
    """Side of the training views; None takes the dataset's own size, or 224 where images differ in size."""
    limit: Positive | None = None
    """Train on at most this many images, spread evenly over the classes; the same ones for every seed."""
    workers: Natural = 0
    """Processes that decode and crop; images that lie in memory need none."""
    pack: Positive | None = None
    """Decode all images once to squares of this side and train from these; None reads the files in every epoch."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[Deviation, Deviation, Deviation] = (0.229, 0.224, 0.225)


class ViewsSettings(_Settings):
    """Which augmented views a step sees: a preset, with changes to every view of it."""

    preset: str = AUTO
    """Name in `VIEW_PRESETS`; "auto" is the dataset's own."""
    change: dict[str, Any] = {}
    """Fields of `ViewSettings` to set in every view, for ablations: {"gray_p": 0.5}."""
    global_views: Positive | None = None
    """Number of large views; None keeps the preset's."""
    local_views: Natural | None = None
    """Number of small views of a multi-crop preset; None keeps the preset's."""
    local_size: Positive | None = None
    """Side of the small views; None keeps the preset's, in proportion where the large views are below 224 px."""
    global_scale: Interval | None = None
    """Area of the large views' crops as a fraction of the image; None keeps the preset's."""
    local_scale: Interval | None = None
    """The same of the small views."""
    iou: Interval | None = None
    """Keep only crops whose intersection over union with the first view's lies within these bounds."""
    difficulty: Difficulty | None = None
    """The same with the bounds of a named bin: easy, hard, super-hard."""

    @model_validator(mode="after")
    def _one_bound(self) -> ViewsSettings:
        check_overlap(self.iou, self.difficulty)
        return self

    @property
    def iou_bounds(self) -> Interval | None:
        """Bounds on the overlap of each later view's crop with the first view's, or None."""
        return DIFFICULTY_IOU[self.difficulty] if self.difficulty is not None else self.iou

    def resolved(self) -> tuple[ViewSettings, ...]:
        """Return the settings of each view."""
        views = view_preset(self.preset)
        global_views = tuple(view for view in views if view.size is None)
        local_views = tuple(view for view in views if view.size is not None)
        if not local_views:
            self._refuse_small_views()
        if self.global_views is not None:
            repeated = itertools.islice(itertools.cycle(global_views), self.global_views)
            global_views = tuple(repeated)
        if self.local_views is not None and local_views:
            local_views = local_views[:1] * self.local_views
        if self.local_size is not None:
            local_views = tuple(view.model_copy(update={"size": self.local_size}) for view in local_views)
        global_views = _with_scale(global_views, self.global_scale)
        local_views = _with_scale(local_views, self.local_scale)
        return tuple(changed_view(view, self.change) for view in global_views + local_views)

    def large_views(self) -> int | None:
        """Return how many of the views, which come first, are large ones; None while the preset is undecided."""
        if self.preset == AUTO:
            return self.global_views
        return self.global_views or sum(view.size is None for view in view_preset(self.preset))

    def _refuse_small_views(self) -> None:
        for name in ("local_views", "local_size", "local_scale"):
            if getattr(self, name):
                raise ConfigError(
                    f"views.{name} has no effect: the preset has no small views",
                    found=f"views.preset={self.preset}",
                    hint=f"a preset with small views, such as sslight_dino, or views.{name}=null",
                )


def _with_scale(views: tuple[ViewSettings, ...], scale: Interval | None) -> tuple[ViewSettings, ...]:
    return views if scale is None else tuple(view.model_copy(update={"crop_scale": scale}) for view in views)


class BackboneSettings(_Settings):
    """The encoder; `stem="auto"` keeps the resolution of images of at most 64 px."""

    name: str = "resnet20"
    stem: Literal["auto", "imagenet", "cifar"] = AUTO
    drop_path: Fraction = 0.0


class ProjectorSettings(_Settings):
    """The MLP between features and loss; `hidden_dim` replaces the widths that `kind` implies."""

    kind: Literal["linear", "simple", "wide", "deep"] = "simple"
    out_dim: Positive = 128
    hidden_dim: Positive | None = None
    batch_norm: bool = False
    dropout: Fraction = 0.0


class OptimizerSettings(_Settings):
    """The optimizer; the learning rate holds at `lr_batch` images a step and is scaled linearly from there."""

    name: Literal["sgd", "adamw", "lars"] = "sgd"
    lr: Annotated[float, Field(gt=0.0)] = 0.06
    lr_batch: Positive | None = None
    """Batch size that `lr` is meant for; None uses `lr` as it is."""
    head_lr: Annotated[float, Field(gt=0.0)] | None = None
    """Learning rate of the classifier, scaled and scheduled as `lr` is; None takes `lr`."""
    momentum: Fraction = 0.9
    nesterov: bool = False
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0.0)] = 1e-4
    final_weight_decay: Annotated[float, Field(ge=0.0)] | None = None
    """Where a cosine takes the weight decay; None keeps it constant."""
    no_decay: tuple[Literal["bias", "norm", "depthwise"], ...] = ()
    """Kinds of parameters without weight decay."""
    trust: Annotated[float, Field(gt=0.0)] = 0.001
    """LARS: the trust coefficient; biases and norms are never adapted."""
    clip_norm: Annotated[float, Field(gt=0.0)] | None = None

    @model_validator(mode="after")
    def _nesterov_has_a_momentum(self) -> OptimizerSettings:
        if self.nesterov and (self.name != "sgd" or self.momentum == 0.0):
            raise ValueError(f"nesterov is for sgd with a momentum above 0, found {self.name} with {self.momentum:g}")
        return self


class ScheduleSettings(_Settings):
    """Length of the run and shape of the learning rate: linear warm-up, then cosine down to `final_lr`, or steps."""

    epochs: Positive = 30
    shape: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[Natural, ...] = ()
    """Epochs after which "steps" multiplies the learning rate by `factor`."""
    factor: Annotated[float, Field(gt=0.0)] = 0.1
    changes: Literal["every step", "every epoch"] = "every step"
    """How often the cosine moves; "every epoch" keeps the value of an epoch's first step."""
    warmup_epochs: Annotated[float, Field(ge=0.0)] = 0.0
    final_lr: Annotated[float, Field(ge=0.0)] = 0.0
    """Learning rate at the end, whatever the batch size; never above the peak."""

    @model_validator(mode="after")
    def _warmup_fits(self) -> ScheduleSettings:
        if self.warmup_epochs > self.epochs:
            found = f"warmup_epochs ({self.warmup_epochs:g}) must not exceed epochs ({self.epochs})"
            raise ValueError(f"{found}; lower schedule.warmup_epochs too")
        return self

    @model_validator(mode="after")
    def _milestones_are_of_steps(self) -> ScheduleSettings:
        if self.milestones and self.shape != "steps":
            raise ValueError("milestones have no effect on a cosine; set schedule.shape=steps")
        return self


class LoopSettings(_Settings):
    """How the steps are run and what is kept."""

    batch_size: Positive = 64
    seed: Natural = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = AUTO
    """"auto" is bf16 on GPUs that have it and fp32 on the CPU; "fp16" scales the loss, for GPUs without bf16."""
    compile: bool = False
    """torch.compile the networks; the first step then takes up to a minute longer."""
    channels_last: bool = True
    """The memory layout of images and weights; on a CPU too a step of ResNet-18 takes three quarters of the time."""
    deterministic: bool | None = None
    """Only algorithms that give the same bits again; None: on the CPU only."""
    batch_norm: Literal["synchronized", "local"] = "synchronized"
    """Of several processes: statistics of the whole batch, as one process would take them, or of each one's part."""
    log_every: Positive = 10
    """Steps between rows of history.csv; values are means over the steps in between."""
    save_every_steps: Positive | None = None
    save_every_seconds: Annotated[float, Field(gt=0.0)] | None = 600.0
    """Save also within an epoch once this long has passed since the last save."""
    keep_every_epochs: Positive | None = None
    """Keep checkpoints/epoch_XXXX.pt at these intervals."""
    monitor_every_epochs: Positive = 1
    tensorboard: bool = False


class TrainSettings(_Settings):
    """One training run. `initialize_from` names a checkpoint whose matching weights are the starting point."""

    recipe: str = "custom"
    description: str = ""
    data: DataSettings = DataSettings()
    views: ViewsSettings = ViewsSettings()
    backbone: BackboneSettings = BackboneSettings()
    projector: ProjectorSettings = ProjectorSettings()
    method: MethodSettings = Field(default=MoCoV2Settings(), discriminator="name")
    optimizer: OptimizerSettings = OptimizerSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    loop: LoopSettings = LoopSettings()
    initialize_from: str | None = None

    def changed(self, **sections: Mapping[str, Any]) -> TrainSettings:
        """Return a validated copy with fields of the named sections replaced: changed(loop={"seed": 1})."""
        raw = self.model_dump()
        for section, values in sections.items():
            raw[section] = raw[section] | dict(values)
        return TrainSettings.model_validate(raw)

    def fitted(self, *, rows: int, native_size: int | None, preset: str) -> TrainSettings:
        """Return the settings with everything "auto" decided for a train split of `rows` images.

        Images of one size are used at that size, else at 224 px; the view preset is the dataset's own; at most 64 px
        keep their resolution in the stem; cells that hide-and-seek hides shrink with the images; a queue never holds
        more than one epoch of keys, in whole batches.
        """
        size = self.data.image_size or native_size or 224
        batch = min(self.loop.batch_size, rows)
        changes: dict[str, dict[str, Any]] = {"data": {"image_size": size}, "loop": {"batch_size": batch}}
        chosen = preset if self.views.preset == AUTO else self.views.preset
        changes["views"] = {"preset": chosen, "local_size": self.views.local_size or _local_size(chosen, size)}
        if (cells := _cells(chosen, size)) is not None:
            changes["views"]["change"] = {"patch_sizes": cells} | self.views.change
        if self.backbone.stem == AUTO:
            changes["backbone"] = {"stem": "cifar" if size <= 64 else "imagenet"}
        queue = getattr(self.method, "queue_size", None)
        if queue:
            changes["method"] = {"queue_size": max(1, min(queue, rows) // batch) * batch}
        fitted = self.changed(**changes)
        fitted._refuse_too_few_views()
        return fitted

    def _refuse_too_few_views(self) -> None:
        large, all_views = self.views.large_views(), len(self.views.resolved())
        if self.method.name in _COMPARES_VIEWS and large is not None and large < 2:
            raise ConfigError(
                f"{self.method.name} needs two large views of an image",
                found=f"{large}, by views.preset={self.views.preset}",
                hint="another views.preset, or views.global_views=2",
            )
        if self.views.iou_bounds is not None and all_views < 2:
            raise ConfigError("bounds on the overlap of views need at least two of them", found=f"{all_views} view")


def _cells(preset: str, image_size: int) -> list[int] | None:
    """Return the sides of a preset's hide-and-seek cells, in proportion below 224 px; None where they stay."""
    sides = {view.patch_sizes for view in view_preset(preset)}
    if image_size >= 224 or not any(map(any, sides)):
        return None
    return [side and max(1, round(side * image_size / 224)) for side in next(iter(sides))]


def _local_size(preset: str, image_size: int) -> int | None:
    """Return the side of a preset's small views, in proportion to large views below 224 px; None without any."""
    sizes = [view.size for view in view_preset(preset) if view.size is not None]
    return max(1, round(sizes[0] * min(image_size / 224, 1.0))) if sizes else None
