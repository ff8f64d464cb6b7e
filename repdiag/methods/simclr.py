"""SimCLR: two views of an image find each other among all views of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from repdiag.config.method_settings import SimCLRSettings
from repdiag.core.distributed.gather import gather_with_gradient
from repdiag.losses.info_nce import contrast_accuracy, info_nce
from repdiag.losses.nt_xent import nt_xent_logits
from repdiag.methods.base import Method, StepOutput, TrainBatch, forward_by_size, project_together
from repdiag.models.backbones import Backbone


class SimCLR(Method):
    """In-batch contrast with the NT-Xent loss (Chen et al. 2020); the batch is that of all processes together."""

    def __init__(self, backbone: Backbone, projector: nn.Module, settings: SimCLRSettings) -> None:
        super().__init__()
        self.backbone, self.projector, self.settings = backbone, projector, settings

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return NT-Xent between the first two views."""
        features = forward_by_size(self.backbone, batch.views[:2])
        with torch.autocast(features[0].device.type, enabled=False):
            projections = project_together(self.projector, [feature.float() for feature in features])
            first, second = (gather_with_gradient(F.normalize(item, dim=1)) for item in projections)
            logits = nt_xent_logits(first, second, temperature=self.settings.temperature)
            return info_nce(logits), {"contrast_accuracy": contrast_accuracy(logits.detach())}
