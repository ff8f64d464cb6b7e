"""Builds the method that the settings name."""

from __future__ import annotations

from torch import nn

from repdiag.config.method_settings import (
    DINOSettings,
    MoCoV2Settings,
    SeedSettings,
    SimCLRSettings,
    SupervisedSettings,
    SwAVSettings,
)
from repdiag.config.training import AUTO, TrainSettings
from repdiag.core.errors import ConfigError
from repdiag.methods.base import Method
from repdiag.methods.dino import DINO
from repdiag.methods.moco_v2 import MoCoV2
from repdiag.methods.seed import SEED, Teacher
from repdiag.methods.simclr import SimCLR
from repdiag.methods.supervised import Supervised
from repdiag.methods.swav import SwAV
from repdiag.models.backbones import Backbone, build_backbone, check_takes
from repdiag.models.dino_head import DINOHead
from repdiag.models.projectors import build_projector


def build_method(settings: TrainSettings, *, classes: int, teacher: Teacher | None = None) -> Method:
    """Return the untrained method; weights are drawn from torch's global generator.

    `teacher` maps normalised images to embeddings of `projector.out_dim` numbers; only distillation needs one.
    """
    backbone, method, dim = _build_backbone(settings), settings.method, settings.projector.out_dim
    match method:
        case MoCoV2Settings():
            return MoCoV2(backbone, _build_projector(settings, backbone), method, dim=dim)
        case SimCLRSettings():
            return SimCLR(backbone, _build_projector(settings, backbone), method)
        case SupervisedSettings():
            return Supervised(backbone, method, classes=classes)
        case SwAVSettings():
            return SwAV(backbone, _build_projector(settings, backbone), method, dim=dim)
        case DINOSettings():
            return DINO(backbone, _build_dino_head(method, backbone), method)
        case SeedSettings():
            if teacher is None:
                raise ConfigError("distillation needs a teacher", hint="set method.teacher to a checkpoint's path")
            return SEED(backbone, _build_projector(settings, backbone), method, teacher=teacher, dim=dim)


def _build_backbone(settings: TrainSettings) -> Backbone:
    chosen = settings.backbone
    if chosen.stem == "auto":
        raise ConfigError("backbone.stem is undecided", hint="call settings.fitted(...) for the data first")
    size = settings.data.image_size
    backbone = build_backbone(chosen.name, stem=chosen.stem, image_size=size, drop_path=chosen.drop_path)
    if settings.views.preset != AUTO:
        check_takes(backbone, {view.size for view in settings.views.resolved() if view.size not in (None, size)})
    return backbone


def _build_projector(settings: TrainSettings, backbone: Backbone) -> nn.Sequential:
    rest = settings.projector.model_dump(exclude={"kind"})
    return build_projector(settings.projector.kind, backbone.feature_dim, **rest)


def _build_dino_head(method: DINOSettings, backbone: Backbone) -> DINOHead:
    return DINOHead(
        backbone.feature_dim,
        outputs=method.outputs,
        hidden_dim=method.hidden_dim,
        bottleneck_dim=method.bottleneck_dim,
        batch_norm=method.head_batch_norm,
        learn_scales=method.learn_scales,
    )
