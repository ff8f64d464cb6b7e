"""Maps of encoders, composed scenes and the detector on both."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import repdiag
from repdiag.core.errors import UsageError
from repdiag.downstream.detector import SimplePyramid, build_detector, detector_losses
from repdiag.downstream.scenes import composed_scenes
from repdiag.models.backbones import build_backbone
from repdiag.models.feature_maps import feature_maps

STRIDES = {
    "resnet18": {4: 64, 8: 128, 16: 256, 32: 512},
    "resnet20": {1: 16, 2: 32, 4: 64},
    # Of the two maps at a stride of 32 the last one; at 16 the block's 96 channels, not an expansion's 576.
    "mobilenet_v2": {2: 16, 4: 24, 8: 32, 16: 96, 32: 1280},
    "mobilenet_v3_small": {2: 16, 4: 16, 8: 24, 16: 48, 32: 576},
    "tf_efficientnet_lite0": {2: 16, 4: 24, 8: 40, 16: 112, 32: 320},
    "vit_tiny": {16: 192},
}


@pytest.mark.parametrize("name", STRIDES)
def test_maps_are_the_last_of_each_stride(name: str) -> None:
    backbone = build_backbone(name, image_size=64).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        found = feature_maps(backbone.trunk, images)
    assert {stride: one.shape[1] for stride, one in found.items()} == STRIDES[name]
    assert all(one.shape[-1] == 64 // stride for stride, one in found.items())
    if name == "resnet18":  # pooled, the last map is the features
        assert torch.allclose(found[32].mean(dim=(2, 3)), backbone(images), atol=1e-5)


def test_a_network_of_unknown_make_is_refused() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.flatten(1)

    with pytest.raises(UsageError, match="Odd"):
        feature_maps(Odd(), torch.rand(1, 3, 8, 8))


def test_scenes_have_boxes_around_their_masks_and_unseen_test_objects() -> None:
    train, test, made = composed_scenes(train=12, test=6, size=64, seed=0)
    again, _, _ = composed_scenes(train=12, test=6, size=64, seed=0)
    assert all(torch.equal(one, two) for one, two in zip(train.images, again.images, strict=True))
    assert (len(train), len(test)) == (12, 6)
    assert "others in test" in made
    for objects in (*train.objects, *test.objects):
        assert len(objects["boxes"]) >= 1
        for box, mask in zip(objects["boxes"].int().tolist(), objects["masks"].bool(), strict=True):
            rows, columns = np.where(mask.numpy())
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert int(torch.stack([one["masks"].sum(dim=0).max() for one in train.objects]).max()) == 1


def chain() -> repdiag.Encoder:
    """Maps at strides 4 and 8."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 12, 2, stride=2), nn.ReLU()]
    return repdiag.load_encoder(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), image_size=64)


QUICK = {"image_size": 64, "train_images": 16, "test_images": 6, "steps": 3, "batch_size": 4}


@pytest.mark.parametrize("name", ["detection", "segmentation"])
def test_a_detector_on_frozen_maps_gives_three_scores_and_leaves_the_encoder_alone(name: str) -> None:
    encoder = chain()
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    found = repdiag.probe(encoder, protocol=name, settings=QUICK)
    again = repdiag.probe(encoder, protocol=name, settings=QUICK)
    kind = "box" if name == "detection" else "mask"
    assert [row.params["measure"] for row in found.table] == [f"{kind}_ap", f"{kind}_ap50", f"{kind}_ap75"]
    assert all(row.ci_low is not None for row in found.table)
    assert [row.value for row in found.table] == [row.value for row in again.table]
    assert torch.equal(found.replicates, again.replicates)
    assert all(torch.equal(before[key], value) for key, value in encoder.state_dict().items())
    assert "strides 4, 8" in found.row.extra["features"]
    assert "torchvision" in found.row.extra["features"]


def test_maps_that_are_known_give_the_losses_of_the_images() -> None:
    """Frozen maps are computed once: losses must be those of the whole detector."""
    encoder = chain()
    train, _, _ = composed_scenes(train=2, test=1, size=64, seed=0)
    torch.manual_seed(0)
    detector = build_detector(encoder, size=64, classes=10, masks=False, full=False, learns=False).train()
    images = [image.float() / 255 for image in train.images]
    targets = [{key: value for key, value in one.items() if key != "crowd"} for one in train.objects]
    maps = detector.backbone.maps(detector.transform(images, None)[0].tensors)
    found = []
    for given in (maps, None):
        torch.manual_seed(1)
        found.append(float(detector_losses(detector, images, targets, maps=given).detach()))
    torch.manual_seed(1)
    whole = float(sum(detector(images, targets).values()).detach())
    assert found == pytest.approx([whole, whole], rel=1e-6)


def test_a_single_map_becomes_a_pyramid_of_four() -> None:
    made = SimplePyramid(16, 12)({16: torch.rand(1, 12, 4, 4)})
    assert {stride: tuple(one.shape[1:]) for stride, one in made.items()} == {
        4: (3, 16, 16),
        8: (6, 8, 8),
        16: (12, 4, 4),
        32: (12, 2, 2),
    }


def test_detection_says_what_it_runs_on() -> None:
    with pytest.raises(UsageError, match="on composed scenes"):
        repdiag.probe(chain(), data="digits", protocol="detection")
