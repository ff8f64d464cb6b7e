"""SwAV: predict one view's prototype assignment from the other views."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.config.method_settings import SwAVSettings
from repdiag.core.distributed.gather import gather_rows, own_rows, world_size
from repdiag.losses.multi_crop import balanced_mean
from repdiag.losses.sinkhorn import sinkhorn
from repdiag.losses.soft_cross_entropy import soft_cross_entropy
from repdiag.methods.base import Method, StepOutput, TrainBatch, forward_by_size, project_together
from repdiag.methods.key_queue import KeyQueue
from repdiag.models.backbones import Backbone
from repdiag.models.prototypes import Prototypes

GLOBAL_VIEWS = 2


class SwAV(Method):
    """Assignments come from the two global views, predictions from every other view (Caron et al. 2020)."""

    def __init__(self, backbone: Backbone, projector: nn.Module, settings: SwAVSettings, *, dim: int) -> None:
        super().__init__()
        self.backbone, self.projector, self.settings = backbone, projector, settings
        self.prototypes = Prototypes(dim, settings.prototypes)
        rows = settings.queue_size
        self.queues = nn.ModuleList(KeyQueue(rows, dim) for _ in range(GLOBAL_VIEWS if rows else 0))
        self._new: list[Tensor] = []

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the swapped prediction loss."""
        features = forward_by_size(self.backbone, batch.views)
        projections = [F.normalize(item.float(), dim=1) for item in project_together(self.projector, features)]
        with torch.autocast(projections[0].device.type, enabled=False):
            scores = [self.prototypes(projection) for projection in projections]
        global_terms: list[Tensor] = []
        local_terms: list[Tensor] = []
        for assigned in range(GLOBAL_VIEWS):
            target = self._assign(projections[assigned].detach(), assigned)
            for predicted, score in enumerate(scores):
                if predicted == assigned:
                    continue
                term = soft_cross_entropy(score / self.settings.temperature, target)
                (global_terms if predicted < GLOBAL_VIEWS else local_terms).append(term)
        self._new = [gather_rows(projection.detach()) for projection in projections[:GLOBAL_VIEWS]]
        loss = balanced_mean(global_terms, local_terms, balance=self.settings.balance)
        return loss, {"assignment_agreement": _agreement(scores[0].detach(), scores[1].detach())}

    def after_backward(self) -> None:
        """Hold the prototypes still during the first epochs."""
        if self.clock.epoch < self.settings.freeze_prototypes_epochs:
            self.prototypes.weight.grad = None

    def after_step(self) -> None:
        """Put the prototypes back on the sphere and the projections into the queues."""
        self.prototypes.normalize()
        for queue, rows in zip(self.queues, self._new, strict=False):
            assert isinstance(queue, KeyQueue)
            queue.push(rows)
        self._new = []

    def extra_state(self) -> dict[str, Any]:
        """Return prototypes and queues."""
        queues = {str(index): queue.state() for index, queue in enumerate(self.queues) if isinstance(queue, KeyQueue)}
        return {"prototypes": self.prototypes.weight.detach(), "queues": queues}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore prototypes and queues."""
        self.prototypes.load_state_dict({"weight": state["prototypes"]})
        for index, queue in enumerate(self.queues):
            assert isinstance(queue, KeyQueue)
            queue.load(state["queues"][str(index)])

    @torch.no_grad()
    def _assign(self, projections: Tensor, view: int) -> Tensor:
        """Return this process's rows of the assignments that Sinkhorn gives to everybody's rows and the queue's."""
        rows = gather_rows(projections)
        if self.queues and self.clock.epoch >= self.settings.queue_from_epoch:
            queue = self.queues[view]
            assert isinstance(queue, KeyQueue)
            rows = torch.cat([rows, queue.keys])
        assigned = sinkhorn(
            self.prototypes(rows), epsilon=self.settings.epsilon, iterations=self.settings.sinkhorn_iterations
        )
        return own_rows(assigned[: len(projections) * world_size()])


def _agreement(first: Tensor, second: Tensor) -> Tensor:
    return (first.argmax(dim=1) == second.argmax(dim=1)).float().mean()
