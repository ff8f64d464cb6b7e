"""`Encoder`: an eval-mode backbone with what is known about how to feed and read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.facts import Fact
from repdiag.core.shapes import Float
from repdiag.models.feature_maps import feature_maps

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class EncoderInfo:
    """What repdiag recognised about a checkpoint: its format, branch, layer and input.

    `training` holds the training settings that the file records (dataset, method, temperature, queue size, epochs,
    ...); repdiag never guesses a missing one. `resize` is the length of the shorter side before the center crop to
    `image_size`; None means that the shorter side is resized to `image_size` directly. With `squash`, both sides are
    resized to `resize` (None: `image_size`), whatever their ratio. With `bgr`, the network takes blue first, and `mean`
    and `std` are in that order. `facts` lists everything without a tensor that changes the output, with its source.
    """

    name: str
    path: str
    sha256: str
    family: str
    backbone: str
    branch: str
    layer: str
    feature_dim: int
    projection_dim: int | None = None
    image_size: int
    resize: int | None = None
    squash: bool = False
    bgr: bool = False
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    parameters: int
    epoch: int | None = None
    match: float = 1.0
    training: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


class Encoder(nn.Module):
    """Backbone and optional projector in eval mode; normalised images [B, C, H, W] -> features [B, D].

    `classifier` is the linear layer on the features, if the checkpoint has one.

    Example:
        >>> import repdiag, torch
        >>> encoder = repdiag.load_encoder(torch.nn.Flatten(), image_size=2)
        >>> encoder(torch.zeros(5, 3, 2, 2)).shape, encoder.info.feature_dim
        (torch.Size([5, 12]), 12)
    """

    def __init__(
        self,
        backbone: nn.Module,
        info: EncoderInfo,
        projector: nn.Module | None = None,
        *,
        classifier: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.projector = projector
        self.classifier = classifier
        self.info = info
        self.eval()
        self.requires_grad_(False)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Return the features, before any projector and not normalised."""
        features: Tensor = self.backbone(images)
        return features

    def feature_maps(self, images: Float[Tensor, "B C H W"]) -> dict[int, Tensor]:
        """Return {stride: map [B, E, H / stride, W / stride]} of normalised images, fine to coarse, for detectors.

        Raises `UsageError` for a network whose feature maps are unknown.

        Example:
            >>> import repdiag, torch
            >>> from torch import nn
            >>> layers = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
            >>> encoder = repdiag.load_encoder(nn.Sequential(*layers), image_size=8)
            >>> {stride: tuple(one.shape) for stride, one in encoder.feature_maps(torch.rand(1, 3, 8, 8)).items()}
            {2: (1, 8, 4, 4)}
        """
        return feature_maps(getattr(self.backbone, "trunk", self.backbone), images)

    def project(self, features: Float[Tensor, "B D"]) -> Float[Tensor, "B P"] | None:
        """Return the projector's output, or None where the checkpoint came without one."""
        if self.projector is None:
            return None
        projections: Tensor = self.projector(features)
        return projections
