"""Settings of protocols that train on images, and the training run that they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from repdiag.config.training import (
    BackboneSettings,
    DataSettings,
    LoopSettings,
    OptimizerSettings,
    ScheduleSettings,
    TrainSettings,
    ViewsSettings,
)
from repdiag.config.views import Interval
from repdiag.core.errors import ConfigError
from repdiag.downstream.protocol import AboveZero, Natural, Positive, RowScaling, Settings

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import EncoderInfo

Init = Literal["normal .01", "torch"]
NotNegative = Annotated[float, Field(ge=0.0)]
Std = tuple[AboveZero, AboveZero, AboveZero]


class TrainedSettings(Settings):
    """A linear classifier trained by mini-batches; learning rates hold at `lr_batch` images a step."""

    rows: RowScaling = "raw"
    """What is done to the features before the classifier."""
    optimizer: Literal["sgd", "lars"] = "sgd"
    lr: AboveZero = 0.1
    lr_batch: Positive | None = None
    """Batch size that `lr` is meant for, scaled linearly from there; None uses it as it is."""
    momentum: NotNegative = 0.9
    nesterov: bool = False
    weight_decay: NotNegative = 0.0
    batch_size: Positive = 256
    epochs: Positive = 100
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[Natural, ...] = ()
    factor: AboveZero = 0.1
    final_lr: NotNegative = 0.0
    changes: Literal["every step", "every epoch"] = "every epoch"
    """How often a cosine moves."""
    crop_scale: Interval = (0.08, 1.0)
    """Area of the random crops of train images as a fraction of the image; sides 3 : 4 to 4 : 3, mirrored by chance."""
    train_interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    init: Init = "normal .01"
    """How the classifier starts: weights of standard deviation .01 and no bias, or as torch draws a linear layer."""
    std: Std | None = None
    """Standard deviation of the normalisation in place of ImageNet's, where the encoder is read with that."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    pack: Positive | None = None
    """Decode all train images once to squares of this side and train from these."""
    tensorboard: bool = False
    save_every_steps: Positive | None = None
    """Save also within an epoch; a killed run goes on from there."""

    def schedule_settings(self, *, head_lr: float | None = None) -> TrainSettings:
        """Return optimizer, schedule and loop of these settings as those of a training run."""
        return TrainSettings(
            recipe="downstream",
            method={"name": "supervised"},  # type: ignore[arg-type]
            optimizer=OptimizerSettings(
                name=self.optimizer,
                lr=self.lr,
                lr_batch=self.lr_batch,
                head_lr=head_lr,
                momentum=self.momentum,
                nesterov=self.nesterov,
                weight_decay=self.weight_decay,
            ),
            schedule=ScheduleSettings(
                epochs=self.epochs,
                shape=self.schedule,
                milestones=self.milestones,
                factor=self.factor,
                final_lr=self.final_lr,
                changes=self.changes,
            ),
            loop=LoopSettings(
                batch_size=self.batch_size,
                seed=self.seed,
                precision=self.precision,
                tensorboard=self.tensorboard,
                save_every_steps=self.save_every_steps,
            ),
        )

    def run_settings(self, info: EncoderInfo, *, spec: str, workers: int, head_lr: float | None) -> TrainSettings:
        """Return the training run of these settings for an encoder; `spec` names the images in its record."""
        if len(info.mean) != 3:
            raise ConfigError(f"training takes images of three channels, {info.name} takes {len(info.mean)}")
        # The loop normalises in the order red, green, blue; the method turns the channels round where it must.
        mean, std = (values[::-1] if info.bgr else values for values in (info.mean, info.std))
        crop = {"crop_scale": self.crop_scale, "flip_p": 0.5, "interpolation": self.train_interpolation}
        data = DataSettings(
            dataset=spec,
            image_size=info.image_size,
            workers=workers,
            pack=self.pack,
            mean=mean,  # type: ignore[arg-type]
            std=std,  # type: ignore[arg-type]
        )
        # The weights stand for the architecture: a run does not go on with those of another file.
        backbone = BackboneSettings(name=f"{info.backbone}, sha256 {info.sha256[:16]}", stem="imagenet")
        views = ViewsSettings(preset="crop_flip", change=crop)
        return self.schedule_settings(head_lr=head_lr).model_copy(
            update={"data": data, "backbone": backbone, "views": views, "description": f"{info.name}, {info.backbone}"}
        )

    def epochs_in_words(self) -> str:
        """Return length, optimizer and schedule in words."""
        scaled = f" x batch / {self.lr_batch}" if self.lr_batch else ""
        steps = f"x {self.factor:g} after {', '.join(map(str, self.milestones)) or 'none'}"
        shape = steps if self.schedule == "steps" else f"cosine to {self.final_lr:g}, {self.changes}"
        return f"{self.epochs} of {self.batch_size} images a step, {self.optimizer} {self.lr:g}{scaled}, {shape}"
