"""`EncoderClassifier`: a linear classifier on an encoder, as a method of the training loop."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from repdiag.checkpoints.encoder import Encoder
from repdiag.core.errors import UsageError
from repdiag.downstream.fine_tuning import BatchNorm, FineTuneSettings
from repdiag.downstream.protocol import RowScaling
from repdiag.downstream.trained import Init, TrainedSettings
from repdiag.methods.base import Method, StepOutput, TrainBatch
from repdiag.models.dino_head import DINOHead


class EncoderClassifier(Method):
    """Cross-entropy of linear logits; the backbone learns or is frozen.

    `middle` is what stays of the projection head between backbone and classifier, an identity without one.
    """

    def __init__(
        self, encoder: Encoder, settings: TrainedSettings, *, classes: int, width: int | None = None, rows: RowScaling
    ) -> None:
        super().__init__()
        self._learns = isinstance(settings, FineTuneSettings)
        self._batch_norm: BatchNorm = settings.batch_norm if isinstance(settings, FineTuneSettings) else "eval"
        self._rows, self._bgr = rows, encoder.info.bgr
        self.backbone = encoder.backbone  # type: ignore[assignment]
        self.middle = kept_head(encoder) if isinstance(settings, FineTuneSettings) and settings.keep_head else _Same()
        self.classifier = linear_layer(self._width(encoder, width), classes, init=settings.init)
        self.backbone.requires_grad_(self._learns)
        self.middle.requires_grad_(self._learns)

    def train(self, mode: bool = True) -> EncoderClassifier:
        """Set the mode; a frozen backbone, and batch norm that is to stay, keep their running statistics."""
        super().train(mode)
        if not self._learns:
            self.backbone.eval()
        elif self._batch_norm == "eval":
            self._set_batch_norm(training=False)
        return self

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the cross-entropy of the first view."""
        if self._batch_norm == "first epoch" and self.training:
            self._set_batch_norm(training=self.clock.epoch == 0)
        images = batch.views[0].flip(1) if self._bgr else batch.views[0]
        with torch.set_grad_enabled(self._learns):
            features = self.backbone(images)
        if self._learns and torch.is_grad_enabled() and not features.requires_grad:
            raise UsageError(
                "the network cannot be fine-tuned",
                found="features that no gradient flows through, such as those of a function or an exported file",
                hint="a protocol with a frozen backbone, such as moco-lincls or linear",
            )
        logits = self.logits(features).float()
        loss = F.cross_entropy(logits, batch.labels)
        return loss, {"accuracy": (logits.detach().argmax(dim=1) == batch.labels).float().mean()}

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits [B, C] of features [B, D]."""
        middle = self.middle(features)
        return self.classifier(F.normalize(middle, dim=1) if self._rows == "unit" else middle)  # type: ignore[no-any-return]

    def branches(self) -> dict[str, nn.Module]:
        """Return the backbone where it learns; a frozen one is not stored again with every checkpoint."""
        return {"backbone": self.backbone} if self._learns else {}

    def extra_state(self) -> dict[str, Any]:
        """Return the classifier and what is kept of the head."""
        return {"classifier": dict(self.classifier.state_dict()), "middle": dict(self.middle.state_dict())}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the classifier and what is kept of the head."""
        self.classifier.load_state_dict(state["classifier"])
        self.middle.load_state_dict(state["middle"])

    def _set_batch_norm(self, *, training: bool) -> None:
        for module in (*self.backbone.modules(), *self.middle.modules()):
            if isinstance(module, _BatchNorm):
                module.train(training)

    def _width(self, encoder: Encoder, width: int | None) -> int:
        linear = [layer for layer in self.middle.modules() if isinstance(layer, nn.Linear)]
        return linear[-1].out_features if linear else width or encoder.info.feature_dim


class _Same(nn.Identity):
    """No head between backbone and classifier."""


def linear_layer(width: int, classes: int, *, init: Init) -> nn.Linear:
    """Return an untrained linear layer; weights are drawn from torch's global generator."""
    layer = nn.Linear(width, classes)
    if init == "normal .01":
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
    return layer


def kept_head(encoder: Encoder) -> nn.Sequential:
    """Return the projection head without its last linear layer and what follows it.

    Raises `UsageError` for an encoder that came without a head, or with one that is no chain of layers.
    """
    import copy

    head = encoder.projector.mlp if isinstance(encoder.projector, DINOHead) else encoder.projector
    layers = list(head) if isinstance(head, nn.Sequential) else []
    last = max((place for place, layer in enumerate(layers) if isinstance(layer, nn.Linear)), default=0)
    if last == 0:
        raise UsageError(
            f"{encoder.info.name} has no projection head of several layers to keep",
            found="none" if encoder.projector is None else type(encoder.projector).__name__,
            hint="--set keep_head=false, which is another protocol",
        )
    return nn.Sequential(*copy.deepcopy(layers[:last]))
