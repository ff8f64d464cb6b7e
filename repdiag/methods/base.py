"""What the training loop asks of a method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.models.backbones import Backbone

StepOutput = tuple[Tensor, dict[str, Tensor]]


@dataclass(frozen=True)
class TrainBatch:
    """Normalised views of the same images, global ones first, and the images' labels [B]."""

    views: tuple[Tensor, ...]
    labels: Tensor


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


def split_by_size(
    outputs: Sequence[Tensor], views: Sequence[Tensor], *, size: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the outputs of the global views, those of side `size`, and of the local ones."""
    is_global = [view.shape[-1] == size for view in views]
    pairs = list(zip(outputs, is_global, strict=True))
    return [output for output, flag in pairs if flag], [output for output, flag in pairs if not flag]
