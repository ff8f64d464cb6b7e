"""SEED: a small student learns a frozen teacher's similarities to a queue of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.config.method_settings import SeedSettings
from repdiag.core.distributed.gather import gather_rows
from repdiag.losses.multi_crop import balanced_mean
from repdiag.losses.soft_cross_entropy import soft_cross_entropy
from repdiag.methods.base import Method, StepOutput, TrainBatch, forward_by_size
from repdiag.methods.key_queue import KeyQueue
from repdiag.models.backbones import Backbone

Teacher = Callable[[Tensor], Tensor]


class SEED(Method):
    """Soft cross-entropy between similarities to [the teacher's own embedding; a queue of its earlier ones].

    Teacher and student see the same view. Small views, where there are any, have a queue of their own, since what a
    teacher makes of a patch is no stand-in for a whole image; it takes one patch of each image (Fang et al. 2021).
    """

    def __init__(
        self, backbone: Backbone, projector: nn.Module, settings: SeedSettings, *, teacher: Teacher, dim: int
    ) -> None:
        super().__init__()
        self.backbone, self.projector, self.settings = backbone, projector, settings
        self.queue = KeyQueue(settings.queue_size, dim)
        self.patch_queue = KeyQueue(settings.queue_size, dim)
        # Hidden from the module tree: the teacher is not trained, saved or switched to training mode.
        self._teacher = [teacher]
        self._new: list[tuple[KeyQueue, Tensor]] = []

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the distillation loss: its mean over whole views, plus its mean over small ones, if there are any."""
        students = forward_by_size(self.backbone, batch.views)
        terms: dict[bool, list[Tensor]] = {True: [], False: []}
        agreement: list[Tensor] = []
        for view, features, is_whole in zip(batch.views, students, batch.is_large(), strict=True):
            queue = self.queue if is_whole else self.patch_queue
            targets = self._embed_by_teacher(view)
            student = F.normalize(self.projector(features).float(), dim=1)
            student_logits, teacher_logits = self._logits(student, targets, queue.keys)
            terms[is_whole].append(soft_cross_entropy(student_logits, teacher_logits.softmax(dim=1)))
            agreement.append((student_logits.argmax(dim=1) == 0).float().mean())
            if is_whole or len(terms[False]) == 1:  # one patch an image is kept
                self._new.append((queue, gather_rows(targets)))
        loss = balanced_mean(terms[True], terms[False], balance=(1.0, 1.0))
        return loss, {"contrast_accuracy": torch.stack(agreement).mean().detach()}

    def after_step(self) -> None:
        """Put the teacher's embeddings of this step into the queues."""
        for queue, targets in self._new:
            queue.push(targets)
        self._new.clear()

    def extra_state(self) -> dict[str, Any]:
        """Return both queues."""
        return self.queue.state() | {f"patch_{name}": value for name, value in self.patch_queue.state().items()}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore both queues."""
        self.queue.load(state)
        self.patch_queue.load({name: state[f"patch_{name}"] for name in ("queue", "queue_ptr")})

    @torch.no_grad()
    def _embed_by_teacher(self, images: Tensor) -> Tensor:
        return F.normalize(self._teacher[0](images).float(), dim=1)

    def _logits(self, student: Tensor, targets: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return similarities to the teacher's own embedding (column 0) and to the queue, over each temperature."""
        with torch.autocast(student.device.type, enabled=False):
            own = torch.cat([(student * targets).sum(dim=1, keepdim=True), student @ keys.T], dim=1)
            teachers = torch.cat([(targets * targets).sum(dim=1, keepdim=True), targets @ keys.T], dim=1)
        return own / self.settings.student_temperature, teachers / self.settings.teacher_temperature
