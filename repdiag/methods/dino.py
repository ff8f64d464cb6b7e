"""DINO: the student predicts its momentum teacher's centred, sharpened outputs for other views."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.config.method_settings import DINOSettings
from repdiag.core.distributed.gather import gather_rows
from repdiag.losses.multi_crop import balanced_mean
from repdiag.losses.soft_cross_entropy import soft_cross_entropy
from repdiag.methods.base import Method, StepOutput, TrainBatch, forward_by_size, project_together
from repdiag.models.backbones import Backbone
from repdiag.models.dino_head import DINOHead
from repdiag.models.momentum import keep_all_paths, momentum_copy, update_momentum

GLOBAL_VIEWS = 2


class DINO(Method):
    """The teacher sees the global views, the student all of them; paths are dropped in the student alone
    (Caron et al. 2021)."""

    center: Tensor
    projector: DINOHead

    def __init__(self, backbone: Backbone, head: DINOHead, settings: DINOSettings) -> None:
        super().__init__()
        self.backbone, self.projector, self.settings = backbone, head, settings
        self.momentum_backbone, self.momentum_projector = momentum_copy(backbone), momentum_copy(head)
        keep_all_paths(self.momentum_backbone)
        self.register_buffer("center", torch.zeros(settings.outputs))
        self._teacher_mean: Tensor | None = None

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the cross-entropies between each teacher view and every other student view."""
        targets = self._targets(batch.views[:GLOBAL_VIEWS])
        students = project_together(self.projector, forward_by_size(self.backbone, batch.views))
        global_terms: list[Tensor] = []
        local_terms: list[Tensor] = []
        for teacher_view, target in enumerate(targets):
            for student_view, logits in enumerate(students):
                if student_view == teacher_view:
                    continue
                term = soft_cross_entropy(logits.float() / self.settings.student_temperature, target)
                (global_terms if student_view < GLOBAL_VIEWS else local_terms).append(term)
        loss = balanced_mean(global_terms, local_terms, balance=self.settings.balance)
        # 0 nats where the teacher has collapsed onto one output, log(outputs) where onto the uniform distribution.
        entropy = -(targets[0] * targets[0].clamp_min(1e-12).log()).sum(dim=1).mean()
        return loss, {"teacher_entropy": entropy}

    def after_backward(self) -> None:
        """Hold the last layer still during the first epochs."""
        if self.clock.epoch < self.settings.freeze_last_layer_epochs:
            self.projector.last_layer.grad = None
            if self.projector.scales is not None:
                self.projector.scales.grad = None

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the teacher, with a momentum that a cosine takes to 1, and the centre."""
        momentum = 1.0 - (1.0 - self.settings.momentum) * (math.cos(math.pi * self.clock.fraction) + 1.0) / 2.0
        update_momentum(self.momentum_backbone, self.backbone, momentum=momentum)
        update_momentum(self.momentum_projector, self.projector, momentum=momentum)
        if self._teacher_mean is not None:
            self.center.lerp_(self._teacher_mean, 1.0 - self.settings.center_momentum)
            self._teacher_mean = None

    def branches(self) -> dict[str, nn.Module]:
        """Return student and teacher."""
        momentum = {"momentum_backbone": self.momentum_backbone, "momentum_projector": self.momentum_projector}
        return super().branches() | momentum

    def extra_state(self) -> dict[str, Any]:
        """Return the centre."""
        return {"center": self.center}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the centre."""
        self.center.copy_(state["center"])

    def teacher_temperature(self) -> float:
        """Return the teacher's temperature in this epoch: a linear rise, then constant."""
        start, end = self.settings.teacher_temperature
        warmup = self.settings.teacher_warmup_epochs
        return end if self.clock.epoch >= warmup else start + (end - start) * self.clock.epoch / max(warmup - 1, 1)

    @torch.no_grad()
    def _targets(self, views: tuple[Tensor, ...]) -> list[Tensor]:
        features = forward_by_size(self.momentum_backbone, views)
        outputs = [item.float() for item in project_together(self.momentum_projector, features)]
        self._teacher_mean = gather_rows(torch.cat(outputs)).mean(dim=0)
        return [((output - self.center) / self.teacher_temperature()).softmax(dim=1) for output in outputs]
