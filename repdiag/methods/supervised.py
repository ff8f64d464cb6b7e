"""Cross-entropy on the labels: the upper reference for the same backbone and schedule."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from repdiag.config.method_settings import SupervisedSettings
from repdiag.methods.base import Method, StepOutput, TrainBatch
from repdiag.models.backbones import Backbone


class Supervised(Method):
    """A linear classifier on the features; it is kept beside the branches, as it is no projector."""

    def __init__(self, backbone: Backbone, settings: SupervisedSettings, *, classes: int) -> None:
        super().__init__()
        self.backbone, self.settings = backbone, settings
        self.classifier = nn.Linear(backbone.feature_dim, classes)

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the cross-entropy of the first view."""
        logits = self.classifier(self.backbone(batch.views[0])).float()
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=self.settings.label_smoothing)
        return loss, {"accuracy": (logits.detach().argmax(dim=1) == batch.labels).float().mean()}

    def branches(self) -> dict[str, nn.Module]:
        """Return the backbone."""
        return {"backbone": self.backbone}

    def extra_state(self) -> dict[str, Any]:
        """Return the classifier."""
        return {"classifier": dict(self.classifier.state_dict())}

    def load_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the classifier."""
        self.classifier.load_state_dict(state["classifier"])
