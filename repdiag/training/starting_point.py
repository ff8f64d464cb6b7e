"""What a run may start from: a teacher's checkpoint, or the weights of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from repdiag.checkpoints.load import load_encoder
from repdiag.config.method_settings import SeedSettings
from repdiag.config.training import TrainSettings
from repdiag.core.errors import CheckpointError, ConfigError
from repdiag.methods.base import Method
from repdiag.methods.seed import Teacher


def load_teacher(settings: TrainSettings, *, device: torch.device) -> Teacher | None:
    """Return the frozen teacher that the settings name, as a function of images; None for other methods.

    Its embeddings are its projections where its checkpoint has a projector and `teacher_head` is on, else its
    features; the student's projector must have as many outputs.
    """
    method = settings.method
    if not isinstance(method, SeedSettings) or not method.teacher:
        return None
    encoder = load_encoder(Path(method.teacher)).to(device)
    with_head = method.teacher_head and encoder.info.projection_dim is not None
    dim = encoder.info.projection_dim if with_head else encoder.info.feature_dim
    if dim != settings.projector.out_dim:
        raise ConfigError(
            "the student's projector must have as many outputs as the teacher's embedding",
            found=f"{settings.projector.out_dim} and {dim}",
            hint=f"projector.out_dim={dim}",
        )

    def embed(images: Tensor) -> Tensor:
        features = encoder(images)
        projections = encoder.project(features) if with_head else None
        return features if projections is None else projections

    return embed


def initialize_from(method: Method, path: Path) -> str:
    """Copy the checkpoint's weights whose names and shapes fit into all branches; return what was taken.

    The optimizer, queues and schedules start afresh. Raises `CheckpointError` when nothing of the backbone fits.
    """
    encoder = load_encoder(path)
    taken = {"backbone": _copy(encoder.backbone.state_dict(), method.backbone)}
    branches = method.branches()
    if encoder.projector is not None and "projector" in branches:
        taken["projector"] = _copy(encoder.projector.state_dict(), branches["projector"])
    if not taken["backbone"]:
        found = f"{encoder.info.backbone} for a {method.backbone.name}"
        raise CheckpointError(f"no weights of {path} fit the backbone", found=found)
    for name in ("backbone", "projector"):
        momentum = branches.get(f"momentum_{name}")
        if momentum is not None:
            momentum.load_state_dict(branches[name].state_dict())
    return ", ".join(f"{count} of {_size(branches[name])} tensors of the {name}" for name, count in taken.items())


def _copy(source: Mapping[str, Tensor], target: nn.Module) -> int:
    own = target.state_dict()
    fitting = {name: value for name, value in source.items() if name in own and own[name].shape == value.shape}
    target.load_state_dict(own | fitting)
    return len(fitting)


def _size(module: nn.Module) -> int:
    return len(module.state_dict())
