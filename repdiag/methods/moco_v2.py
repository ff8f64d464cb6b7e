"""MoCo v2: a query finds its momentum-encoded key among a queue of earlier keys."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.config.method_settings import MoCoV2Settings
from repdiag.core.distributed.gather import from_first, gather_rows, own_rows, world_size
from repdiag.losses.info_nce import contrast_accuracy, contrast_logits, info_nce
from repdiag.losses.multi_crop import balanced_mean
from repdiag.methods.base import Method, StepOutput, TrainBatch, forward_by_size
from repdiag.methods.key_queue import KeyQueue
from repdiag.models.backbones import Backbone
from repdiag.models.momentum import momentum_copy, update_momentum


class MoCoV2(Method):
    """The first view gives the key, every other view a query (He et al. 2020; Chen et al. 2020).

    Batch statistics of a query and its key can give the pair away. `shuffle_groups` normalises random subsets of the
    keys apart from one another, so that a key's statistics differ from its query's; of several processes each takes
    its share of the groups from the images of all.
    """

    def __init__(self, backbone: Backbone, projector: nn.Module, settings: MoCoV2Settings, *, dim: int) -> None:
        super().__init__()
        self.backbone, self.projector, self.settings = backbone, projector, settings
        self.momentum_backbone = momentum_copy(backbone)
        self.momentum_projector = momentum_copy(projector)
        self.queue = KeyQueue(settings.queue_size, dim)
        self._new_keys: Tensor | None = None

    def training_step(self, batch: TrainBatch) -> StepOutput:
        """Return the InfoNCE loss of every query view, and the accuracy of the first."""
        key_view, *query_views = batch.views
        keys = self._encode_keys(key_view)
        features = forward_by_size(self.backbone, query_views)
        logits = [self._logits(self.projector(feature), keys) for feature in features]
        terms = list(zip([info_nce(item) for item in logits], batch.is_large()[1:], strict=True))
        loss = balanced_mean(
            [term for term, is_large in terms if is_large],
            [term for term, is_large in terms if not is_large],
            balance=self.settings.balance,
        )
        self._new_keys = gather_rows(keys)
        return loss, {"contrast_accuracy": contrast_accuracy(logits[0].detach())}

    def after_step(self) -> None:
        """Move the momentum networks and put the step's keys into the queue."""
        update_momentum(self.momentum_backbone, self.backbone, momentum=self.settings.momentum)
        update_momentum(self.momentum_projector, self.projector, momentum=self.settings.momentum)
        if self._new_keys is not None:
            self.queue.push(self._new_keys)
            self._new_keys = None

    def branches(self) -> dict[str, nn.Module]:
        """Return the online and the momentum networks."""
        momentum = {"momentum_backbone": self.momentum_backbone, "momentum_projector": self.momentum_projector}
        return super().branches() | momentum

    def extra_state(self) -> dict[str, Tensor | int]:
        """Return the queue."""
        return self.queue.state()

    def load_extra_state(self, state: dict[str, Tensor | int]) -> None:
        """Restore the queue."""
        self.queue.load(state)

    def _logits(self, projections: Tensor, keys: Tensor) -> Tensor:
        queries = F.normalize(projections.float(), dim=1)
        with torch.autocast(queries.device.type, enabled=False):  # a temperature of 0.1 magnifies rounding tenfold
            return contrast_logits(queries, keys, self.queue.keys, temperature=self.settings.temperature)

    @torch.no_grad()
    def _encode_keys(self, images: Tensor) -> Tensor:
        groups = self.settings.shuffle_groups
        if groups == 1:
            return self._project_keys(images)
        everyone = gather_rows(images)
        order = from_first(torch.randperm(len(everyone), device=images.device))
        shuffled = everyone[own_rows(order)]
        # An image alone has statistics over its own pixels, or none at all: a group has two at least.
        parts = shuffled.chunk(max(1, min(groups // world_size(), len(shuffled) // 2)))
        keys = gather_rows(torch.cat([self._project_keys(part) for part in parts]))
        return own_rows(keys[order.argsort()])

    def _project_keys(self, images: Tensor) -> Tensor:
        projections = self.momentum_projector(self.momentum_backbone(images))
        return F.normalize(projections.float(), dim=1)
