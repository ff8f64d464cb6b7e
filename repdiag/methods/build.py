"""Builds the method that the settings name."""

from __future__ import annotations

from torch import nn

from repdiag.config.method_settings import MoCoV2Settings
from repdiag.config.training import TrainSettings
from repdiag.core.errors import ConfigError
from repdiag.methods.base import Method
from repdiag.methods.moco_v2 import MoCoV2
from repdiag.models.backbones import Backbone, build_backbone
from repdiag.models.projectors import build_projector


def build_method(settings: TrainSettings) -> Method:
    """Return the untrained method; weights are drawn from torch's global generator."""
    backbone = _build_backbone(settings)
    method = settings.method
    if isinstance(method, MoCoV2Settings):
        return MoCoV2(backbone, _build_projector(settings, backbone), method, dim=settings.projector.out_dim)
    raise ConfigError(f"method {method.name} cannot be built")


def _build_backbone(settings: TrainSettings) -> Backbone:
    chosen = settings.backbone
    if chosen.stem == "auto":
        raise ConfigError("backbone.stem is undecided", hint="call settings.fitted(...) for the data first")
    size = settings.data.image_size
    return build_backbone(chosen.name, stem=chosen.stem, image_size=size, drop_path=chosen.drop_path)


def _build_projector(settings: TrainSettings, backbone: Backbone) -> nn.Sequential:
    rest = settings.projector.model_dump(exclude={"kind"})
    return build_projector(settings.projector.kind, backbone.feature_dim, **rest)
