"""One optimisation step."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from repdiag.config.training import ScheduleSettings, TrainSettings
from repdiag.core.errors import TrainingError
from repdiag.core.memory import is_out_of_memory
from repdiag.core.transfer import to_device
from repdiag.data.loaders import Batch
from repdiag.methods.base import Clock, Method, StepOutput, TrainBatch
from repdiag.training.compute import Compute
from repdiag.training.optimizers import clip_gradients, set_rates
from repdiag.training.schedules import cosine, warmup_cosine, warmup_factor


@dataclass(frozen=True)
class Rates:
    """What the schedules give at one step."""

    lr: float
    weight_decay: float


def rates_at(clock: Clock, settings: TrainSettings) -> Rates:
    """Return learning rate and weight decay of the step that comes after `clock.step` steps."""
    optimizer = settings.optimizer
    scale = settings.loop.batch_size / optimizer.lr_batch if optimizer.lr_batch else 1.0
    lr = _learning_rate(clock, settings.schedule, peak=optimizer.lr * scale)
    decay = optimizer.weight_decay
    if optimizer.final_weight_decay is not None:
        decay = cosine(clock.step, clock.total_steps, start=decay, end=optimizer.final_weight_decay)
    return Rates(lr, decay)


def _learning_rate(clock: Clock, schedule: ScheduleSettings, *, peak: float) -> float:
    """Return the learning rate of the step; "every epoch" is that of the epoch's first step."""
    step = clock.step if schedule.changes == "every step" else clock.epoch * clock.steps_per_epoch
    warmup = schedule.warmup_epochs * clock.steps_per_epoch
    if schedule.shape == "steps":
        passed = sum(clock.epoch >= milestone for milestone in schedule.milestones)
        return warmup_factor(step, warmup) * peak * schedule.factor**passed
    return warmup_cosine(step, clock.total_steps, peak=peak, warmup=warmup, end=min(schedule.final_lr, peak))


class Stepper:
    """Takes steps: normalise, forward, backward, optimizer, and what the method does afterwards."""

    def __init__(
        self, settings: TrainSettings, method: Method, optimizer: torch.optim.Optimizer, *, compute: Compute
    ) -> None:
        self.settings, self.method, self.optimizer, self.compute = settings, method, optimizer, compute
        self.scaler = compute.loss_scaler()
        self.runner: nn.Module = method
        self._large = settings.views.large_views()
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(settings.data.mean, device=compute.device).view(shape)
        self._std = torch.tensor(settings.data.std, device=compute.device).view(shape)

    def prepare(self, batch: Batch, labels: Tensor) -> TrainBatch:
        """Return the batch as the method takes it: normalised, in the run's memory layout."""
        views = tuple(self.compute.layout((view - self._mean) / self._std) for view in batch.views)
        (index,) = to_device([batch.index.numpy()], labels.device)
        return TrainBatch(views, labels[index], large=self._large)

    def take(self, batch: TrainBatch, clock: Clock) -> StepOutput:
        """Take one step and return the loss and the values to log. Raises `TrainingError` when memory runs out."""
        rates = rates_at(clock, self.settings)
        set_rates(self.optimizer, lr=rates.lr, weight_decay=rates.weight_decay)
        output = self._forward_backward(batch, clock)
        if output is None:
            raise _out_of_memory(batch, lambda part: self._forward_backward(part, clock) is not None)
        self.method.after_backward()
        if self.settings.optimizer.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.method, self.settings.optimizer.clip_norm)
        self.scaler.step(self.optimizer)  # the optimizer's own step, unless float16 gradients overflowed
        self.scaler.update()
        self.method.after_step()
        return output

    def _forward_backward(self, batch: TrainBatch, clock: Clock) -> StepOutput | None:
        """Return the step's output with gradients in place, or None when the device is out of memory."""
        self.optimizer.zero_grad(set_to_none=True)
        try:
            with self.compute.autocast():
                loss, logs = self.runner(batch, clock)
            self.scaler.scale(loss).backward()
        except RuntimeError as error:
            if is_out_of_memory(error):
                return None  # the failed attempt's tensors are released only once this handler is left
            if "deterministic implementation" not in str(error):
                raise
            raise _not_reproducible(error) from error
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise _too_few_to_normalise(error, rows=len(batch.labels)) from error
        return loss, logs


def _not_reproducible(error: RuntimeError) -> TrainingError:
    return TrainingError(
        "an operation of this network has no reproducible algorithm on this device",
        found=str(error).partition(" ")[0],
        hint="set loop.deterministic=false, or train on the CPU",
    )


def _too_few_to_normalise(error: ValueError, *, rows: int) -> TrainingError:
    return TrainingError(
        "batch norm has a single value per channel, which has no deviation",
        found=f"{rows} images per step and process, {str(error).rpartition('size ')[2]} in the layer",
        hint="set a larger loop.batch_size or data.image_size, or backbone.stem=cifar",
    )


def _out_of_memory(batch: TrainBatch, fits: Callable[[TrainBatch], bool]) -> TrainingError:
    """Try halves of the batch until one fits, and say so."""
    size = tried = len(batch.labels)
    while tried > 1:
        tried = math.ceil(tried / 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if fits(batch.head(tried)):
            hint = f"a batch of {tried} fits: loop.batch_size={tried}; or a smaller data.image_size"
            return TrainingError("the device is out of memory", found=f"batch size {size}", hint=hint)
    return TrainingError(
        "the device is out of memory", found="even for a single image", hint="choose a smaller backbone or image size"
    )
