"""VGGs for small images (kuangliu/pytorch-cifar, chenyaofo/pytorch-cifar-models).

Their layers are torchvision's; no pooling follows the last map.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin

_LAST = 512  # channels of the last map, which has one pixel for images of 32 px
# The last is the first of three layers (chenyaofo/pytorch-cifar-models); torchvision's takes 25088 features there.
_CLASSIFIERS = ("classifier.weight", "fc.weight", "linear.weight", "classifier.0.weight")


def small_image_vgg(candidate: Candidate, state: Mapping[str, Tensor]) -> Candidate:
    """Return the network without torchvision's 7x7 pooling, where a classifier of 512 features proves it has none."""
    found = [state[name] for name in _CLASSIFIERS if name in state]
    name = candidate.name.rpartition(":")[2]
    if not name.startswith("vgg") or not any(value.ndim == 2 and value.shape[1] == _LAST for value in found):
        return candidate
    proof = Origin("tensors", f"a classifier of {_LAST} features")
    return replace(
        candidate,
        name=f"{name}-cifar",
        build=lambda: _build(candidate),
        layer="the last map",
        image_size=32,
        image_size_origin=proof,
        facts=(Fact.of("pooling", "mean of the last map, of one pixel at 32 px", proof),),
    )


def _build(candidate: Candidate) -> nn.Module:
    network = candidate.build()
    network.avgpool, network.classifier = nn.AdaptiveAvgPool2d(1), nn.Identity()
    return network
