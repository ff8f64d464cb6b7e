"""torchvision's Faster and Mask R-CNN on the maps of any encoder, with a light head or with its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.encoder import Encoder
from repdiag.core.errors import UsageError

Maps = dict[int, Tensor]
_LEVELS = 4
_LIGHT = {
    "rpn_pre_nms_top_n_train": 400,
    "rpn_pre_nms_top_n_test": 200,
    "rpn_post_nms_top_n_train": 200,
    "rpn_post_nms_top_n_test": 100,
    "rpn_batch_size_per_image": 64,
    "box_batch_size_per_image": 64,
    "box_detections_per_img": 20,
}


class Body(nn.Module):
    """An encoder's maps and the pyramid on top of them: images -> pyramid levels by name.

    A transformer's single map is made into four by ViTDet's simple pyramid: twice larger twice, as it is, and halved.
    """

    def __init__(self, encoder: Encoder, *, size: int, channels: int, learns: bool) -> None:
        super().__init__()
        from torchvision.ops import FeaturePyramidNetwork
        from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

        self.network, self._learns, self._bgr = encoder.backbone, learns, encoder.info.bgr
        self.network.requires_grad_(learns)
        with torch.no_grad():
            found = maps_of(self.network, torch.zeros(1, 3, size, size))
        self.simple = SimplePyramid(*_only(found)) if len(found) == 1 else None
        found = self.simple(found) if self.simple is not None else found
        self.strides = tuple(found)[-_LEVELS:]
        widths = [found[stride].shape[1] for stride in self.strides]
        self.fpn = FeaturePyramidNetwork(widths, channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = channels

    def train(self, mode: bool = True) -> Body:
        """Set the mode; a frozen network keeps its running statistics."""
        super().train(mode)
        if not self._learns:
            self.network.eval()
        return self

    def maps(self, images: Tensor) -> Maps:
        """Return the network's own maps, before the pyramid."""
        with torch.set_grad_enabled(self._learns and torch.is_grad_enabled()):
            return maps_of(self.network, images.flip(1) if self._bgr else images)

    def pyramid(self, maps: Maps) -> OrderedDict[str, Tensor]:
        """Return the pyramid's levels."""
        found = maps if self.simple is None else self.simple(maps)
        levels: OrderedDict[str, Tensor] = self.fpn(
            OrderedDict((str(place), found[stride]) for place, stride in enumerate(self.strides))
        )
        return levels

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Return the pyramid's levels of images."""
        return self.pyramid(self.maps(images))


class SimplePyramid(nn.Module):
    """ViTDet's pyramid of one map: two deconvolutions, one, none, and a pooling (Li et al. 2022)."""

    def __init__(self, stride: int, width: int) -> None:
        super().__init__()
        half, quarter = max(1, width // 2), max(1, width // 4)
        self.stride = stride
        self.finest = nn.Sequential(
            nn.ConvTranspose2d(width, half, 2, stride=2),
            nn.GroupNorm(1, half),
            nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, stride=2),
        )
        self.finer = nn.ConvTranspose2d(width, half, 2, stride=2)
        self.coarser = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, maps: Maps) -> Maps:
        """Return the maps of four strides."""
        (only,) = maps.values()
        stride = self.stride
        made = {stride // 4: self.finest(only), stride // 2: self.finer(only), stride: only}
        return {**made, 2 * stride: self.coarser(only)}


def maps_of(network: nn.Module, images: Tensor) -> Maps:
    """Return the maps of a backbone; see `repdiag.models.feature_maps`."""
    from repdiag.models.feature_maps import feature_maps

    return feature_maps(getattr(network, "trunk", network), images)


def build_detector(encoder: Encoder, *, size: int, classes: int, masks: bool, full: bool, learns: bool) -> Any:
    """Return a detector with untrained heads; weights are drawn from torch's global generator.

    The light head: a pyramid of 64 channels, 64 regions an image, 256 hidden numbers. `full` is torchvision's own.
    """
    from torchvision.models.detection import FasterRCNN, MaskRCNN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
    from torchvision.models.detection.rpn import AnchorGenerator
    from torchvision.ops import MultiScaleRoIAlign

    channels, hidden = (256, 1024) if full else (64, 256)
    body = Body(encoder, size=size, channels=channels, learns=learns)
    names = [str(place) for place in range(len(body.strides))]
    info = encoder.info
    if len(info.mean) != 3:
        raise UsageError("detectors take images of three channels", found=f"{len(info.mean)} of {info.name}")
    mean, std = (values[::-1] if info.bgr else values for values in (info.mean, info.std))
    sides = _anchor_sides(len(body.strides) + 1, size)
    settings: dict[str, Any] = {
        "min_size": size,
        "max_size": size,
        "image_mean": list(mean),
        "image_std": list(std),
        "rpn_anchor_generator": AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * len(sides)),
        "box_roi_pool": MultiScaleRoIAlign(names, 7, 2),
        "box_head": TwoMLPHead(channels * 49, hidden),
        "box_predictor": FastRCNNPredictor(hidden, classes + 1),
        **({} if full else _LIGHT),
    }
    if not masks:
        return FasterRCNN(body, **settings)
    heads = (256,) * 4 if full else (64,) * 2
    return MaskRCNN(
        body,
        **settings,
        mask_roi_pool=MultiScaleRoIAlign(names, 14, 2),
        mask_head=MaskRCNNHeads(channels, heads, 1),
        mask_predictor=MaskRCNNPredictor(heads[-1], 256 if full else 64, classes + 1),
    )


def detector_losses(
    detector: Any, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]], *, maps: Maps | None = None
) -> Tensor:
    """Return the sum of the detector's losses; `maps` are those of the images, where they are known already."""
    given, wanted = detector.transform(list(images), [dict(target) for target in targets])
    levels = detector.backbone(given.tensors) if maps is None else detector.backbone.pyramid(maps)
    proposals, of_proposals = detector.rpn(given, levels, wanted)
    _, of_regions = detector.roi_heads(levels, proposals, given.image_sizes, wanted)
    total: Tensor = sum((*of_proposals.values(), *of_regions.values()), torch.zeros(()))
    return total


def _anchor_sides(levels: int, size: int) -> tuple[tuple[int, ...], ...]:
    """Return one anchor side a level: an eighth to three quarters of the image, in equal ratios."""
    steps = torch.logspace(-3.0, -0.415, levels, base=2.0)
    return tuple((max(4, round(float(step) * size)),) for step in steps)


def _only(maps: Maps) -> tuple[int, int]:
    ((stride, one),) = maps.items()
    if stride < 4:
        raise UsageError("a pyramid needs maps of several strides, or one of a stride of 4 or more", found=str(stride))
    return stride, one.shape[1]
