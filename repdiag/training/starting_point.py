"""What a run may start from: a teacher's checkpoint, or the weights of an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.load import load_encoder
from repdiag.config.method_settings import SeedSettings
from repdiag.config.training import TrainSettings
from repdiag.core.errors import CheckpointError, ConfigError
from repdiag.methods.base import Method
from repdiag.methods.seed import Teacher
from repdiag.models.backbones import Backbone, check_takes
from repdiag.models.dino_head import DINOHead


@dataclass(frozen=True)
class LoadedTeacher:
    """A teacher as a function of images, and the SHA-256 of the file that it comes from."""

    embed: Teacher
    sha256: str


def load_teacher(settings: TrainSettings, *, device: torch.device) -> LoadedTeacher | None:
    """Return the frozen teacher that the settings name, as a function of images; None for other methods.

    Its embeddings are its projections where its checkpoint has a projector and `teacher_head` is on, else its
    features; the student's projector must have as many outputs.
    """
    method = settings.method
    if not isinstance(method, SeedSettings) or not method.teacher:
        return None
    encoder = load_encoder(_checkpoint(Path(method.teacher)), backbone=method.teacher_backbone)
    with_head = method.teacher_head and encoder.info.projection_dim is not None
    dim = encoder.info.projection_dim if with_head else encoder.info.feature_dim
    if dim != settings.projector.out_dim:
        raise ConfigError(
            "the student's projector must have as many outputs as the teacher's embedding",
            found=f"{settings.projector.out_dim} and {dim}",
            hint=f"projector.out_dim={dim}",
        )
    _check_sizes(encoder, settings)
    encoder.to(device)
    renormalize = _renormalizer(settings, encoder.info, device=device)

    def embed(images: Tensor) -> Tensor:
        features = encoder(renormalize(images))
        projections = encoder.project(features) if with_head else None
        return features if projections is None else projections

    return LoadedTeacher(embed, encoder.info.sha256)


def _check_sizes(teacher: Encoder, settings: TrainSettings) -> None:
    backbone = teacher.backbone
    assert isinstance(backbone, Backbone)
    try:
        check_takes(backbone, {view.size or settings.data.image_size or 0 for view in settings.views.resolved()})
    except ConfigError as error:
        hint = f"data.image_size={teacher.info.image_size}, the size of the network"
        raise ConfigError(f"the teacher cannot see the views: {error.problem}", found=error.found, hint=hint) from error


def _renormalizer(settings: TrainSettings, teacher: EncoderInfo, *, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return the map from images as the student's data are normalised to images as the teacher was trained on."""
    ours, its = settings.data, teacher
    if (ours.mean, ours.std) == (its.mean, its.std):
        return lambda images: images
    mean, std, its_mean, its_std = (
        torch.tensor(values, dtype=torch.float64, device=device).view(1, 3, 1, 1)
        for values in (ours.mean, ours.std, its.mean, its.std)
    )
    scale, shift = (std / its_std).float(), ((mean - its_mean) / its_std).float()
    return lambda images: images * scale + shift


def initialize_from(method: Method, path: Path) -> str:
    """Copy the checkpoint's weights whose names and shapes fit into all branches; return what was taken.

    The optimizer, queues and schedules start afresh. Raises `CheckpointError` when nothing of the backbone fits.
    """
    encoder = load_encoder(_checkpoint(path))
    taken = {"backbone": _copy(encoder.backbone.state_dict(), method.backbone)}
    branches = method.branches()
    if encoder.projector is not None and "projector" in branches:
        # Of DINO's head the layers up to the bottleneck are what others call a projector.
        layers = branches["projector"].mlp if isinstance(branches["projector"], DINOHead) else branches["projector"]
        taken["projector"] = _copy(encoder.projector.state_dict(), layers)
    if not taken["backbone"]:
        found = f"{encoder.info.backbone} for a {method.backbone.name}"
        raise CheckpointError(f"no weights of {path} fit the backbone", found=found)
    for name in ("backbone", "projector"):
        momentum = branches.get(f"momentum_{name}")
        if momentum is not None:
            momentum.load_state_dict(branches[name].state_dict())
    return ", ".join(f"{count} of {_size(branches[name])} tensors of the {name}" for name, count in taken.items())


def _checkpoint(path: Path) -> Path:
    """Return the last checkpoint of a run's directory, or the path itself."""
    last = path / "checkpoints" / "last.pt"
    return last if last.is_file() else path


def _copy(source: Mapping[str, Tensor], target: nn.Module) -> int:
    own = target.state_dict()
    fitting = {name: value for name, value in source.items() if name in own and own[name].shape == value.shape}
    target.load_state_dict(own | fitting)
    return len(fitting)


def _size(module: nn.Module) -> int:
    return len(module.state_dict())
