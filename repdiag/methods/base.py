"""What the training loop asks of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.models.backbones import Backbone

StepOutput = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class TrainBatch:
    """Normalised views of the same images, large ones first, and the images' labels [B].

    `large` is how many of the views are large ones; None counts those of the first one's size.
    """

    views: tuple[Tensor, ...]
    labels: Tensor
    large: int | None = None

    def is_large(self) -> tuple[bool, ...]:
        """Say of each view whether it is a large one."""
        size = self.views[0].shape[-1]
        if self.large is None:
            return tuple(view.shape[-1] == size for view in self.views)
        return tuple(number < self.large for number in range(len(self.views)))

    def head(self, rows: int) -> TrainBatch:
        """Return the batch of the first images alone."""
        return replace(self, views=tuple(view[:rows] for view in self.views), labels=self.labels[:rows])


@dataclass(frozen=True)
class Clock:
    """Where the run stands: `step` steps are done of `total_steps`."""

    step: int
    total_steps: int
    steps_per_epoch: int

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.steps_per_epoch

    @property
    def fraction(self) -> float:
        """Part of the run that is done, 0 to 1."""
        return self.step / self.total_steps


class Method(nn.Module, ABC):
    """Wires networks and a loss; calling it with a batch and the clock returns (loss, values to log).

    `branches` names the networks that a checkpoint keeps apart; everything else that must survive an interruption
    (queues, centres, prototypes) is in `extra_state`.
    """

    backbone: Backbone
    projector: nn.Module
    clock: Clock

    @abstractmethod
    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the loss and the values to log, all on the device."""

    def forward(self, batch: TrainBatch, clock: Clock) -> StepOutput:
        """Set the clock and call `training_step`; the door that DistributedDataParallel needs."""
        self.clock = clock
        return self.training_step(batch)

    def after_backward(self) -> None:
        """Adjust gradients before the optimizer's step."""

    def after_step(self) -> None:
        """Update what the optimizer does not: momentum networks, queues."""

    def branches(self) -> dict[str, nn.Module]:
        """Return the networks by their names in a checkpoint."""
        return {"backbone": self.backbone, "projector": self.projector}

    def extra_state(self) -> dict[str, Any]:
        """Return tensors and numbers beyond the branches that the next step depends on."""
        return {}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore `extra_state`."""


def forward_by_size(network: nn.Module, views: Sequence[Tensor]) -> list[Tensor]:
    """Run views of equal size through `network` in one batch; return one output for each view, in order."""
    outputs: list[Tensor | None] = [None] * len(views)
    for size in dict.fromkeys(view.shape[-1] for view in views):
        members = [index for index, view in enumerate(views) if view.shape[-1] == size]
        joined = network(torch.cat([views[index] for index in members]))
        for index, part in zip(members, joined.chunk(len(members)), strict=True):
            outputs[index] = part
    return [output for output in outputs if output is not None]


def project_together(projector: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    """Run the features of all views through `projector` in one batch; return one output for each view, in order.

    A batch norm in the projector then takes its statistics over all views, as in the authors' code of SimCLR, SwAV
    and DINO; over each view alone it would hide from the loss what tells local views from global ones.
    """
    return list(projector(torch.cat(list(features))).chunk(len(features)))
