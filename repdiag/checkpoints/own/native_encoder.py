"""Our own checkpoints as encoders: the file's settings say which backbone, stem, size and normalisation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.fitting.as_told import NETWORK_OPTIONS
from repdiag.checkpoints.fitting.ceilings import bounded_image_size
from repdiag.checkpoints.fitting.match import load_strictly
from repdiag.checkpoints.fitting.projection_heads import build_head
from repdiag.checkpoints.own.native import FORMAT
from repdiag.checkpoints.read_options import ReadOptions, flag_of
from repdiag.checkpoints.reading.branches import choose
from repdiag.checkpoints.reading.contents import under
from repdiag.checkpoints.reading.safe_load import Payload
from repdiag.config.training import TrainSettings
from repdiag.core.errors import CheckpointError
from repdiag.core.own_code import is_own_code
from repdiag.models.backbones import build_backbone

_BRANCHES = {"online": ("backbone", "projector"), "momentum": ("momentum_backbone", "momentum_projector")}


def native_encoder(
    payload: Payload, tree: Mapping[str, Any], *, name: str, branch: str | None, backbone_name: str | None = None
) -> Encoder:
    """Return the encoder of a checkpoint that `repdiag train` wrote; `tree` is its verified content.

    A file that names code (`file.py:function`) runs none of it: `backbone_name` must then come from the user.
    """
    settings = TrainSettings.model_validate_json(tree["config"])
    chosen = choose(branch, [item for item, (place, _) in _BRANCHES.items() if tree.get(place)], path=payload.path)
    weights, head = (tree.get(place) or {} for place in _BRANCHES[chosen])
    size = bounded_image_size(int(tree["image_size"]))
    if backbone_name is None and is_own_code(settings.backbone.name):
        raise CheckpointError(
            f"{payload.path} names its own code as backbone, and repdiag does not run code that a file names",
            found=settings.backbone.name,
            hint="if you trust that code, name it yourself: --backbone file.py:function",
        )
    backbone = build_backbone(
        backbone_name or settings.backbone.name,
        stem="imagenet" if settings.backbone.stem == "auto" else settings.backbone.stem,
        image_size=size,
    )
    _fill(backbone, weights, payload)
    projector = _projector(head, in_dim=backbone.feature_dim) if head else None
    normalization = json.loads(tree["normalization"])
    progress = json.loads(tree["progress"])
    info = EncoderInfo(
        name=name,
        path=str(payload.path),
        sha256=payload.sha256,
        family=FORMAT,
        backbone=settings.backbone.name,
        branch=chosen,
        layer=backbone.layer,
        feature_dim=backbone.feature_dim,
        projection_dim=_width(projector),
        image_size=size,
        mean=tuple(normalization["mean"]),
        std=tuple(normalization["std"]),
        parameters=sum(parameter.numel() for parameter in backbone.parameters()),
        epoch=progress.get("epoch"),
        training=_training(settings),
    )
    return Encoder(backbone, info, projector)


def refuse_for_own(read_options: ReadOptions) -> None:
    """Raise `CheckpointError` for what is told about a network whose file records all of it."""
    idle = [flag_of(name) for name in (*NETWORK_OPTIONS, "prefix") if getattr(read_options, name) is not None]
    if idle:
        hint = f"leave {' and '.join(idle)} out: such a file records all of its network"
        raise CheckpointError(f"{idle[0]} changes nothing in a file that repdiag train wrote", hint=hint)


def _fill(backbone: nn.Module, weights: Mapping[str, Any], payload: Payload) -> None:
    try:
        load_strictly(backbone, weights)
    except RuntimeError as error:
        found = str(error).partition("\n")[2].strip()[:400]
        raise CheckpointError(f"{payload.path} does not fit the backbone that it names", found=found) from error


def _projector(head: Mapping[str, Tensor], *, in_dim: int) -> nn.Sequential | None:
    """Return the layers before the loss; of DINO's head those up to the bottleneck, as of DINO's own files."""
    if bottleneck := under(head, "mlp."):
        return build_head(bottleneck, in_dim=in_dim, activation="gelu")
    return build_head(head, in_dim=in_dim)


def _width(projector: nn.Module | None) -> int | None:
    linear = [layer for layer in projector.modules() if isinstance(layer, nn.Linear)] if projector else []
    return linear[-1].out_features if linear else None


def _training(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings that later measurements depend on; one that the method does not have is absent."""
    method = settings.method.model_dump()
    found = {
        "recipe": settings.recipe,
        "data": settings.data.dataset,
        "data_root": settings.data.root,
        "views": settings.views.preset,
        "method": method.pop("name"),
        **method,
        "epochs": settings.schedule.epochs,
        "batch_size": settings.loop.batch_size,
        "seed": settings.loop.seed,
    }
    return {key: value for key, value in found.items() if value is not None}
