"""VGGs for small images (kuangliu/pytorch-cifar, chenyaofo/pytorch-cifar-models), and VGGs without a classifier.

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
_HEADS = ("classifier.", "fc.", "linear.", "head.", "pre_logits.")
_CLASSIFIERS = ("classifier.weight", "fc.weight", "linear.weight", "classifier.0.weight")


def small_image_vgg(candidate: Candidate, state: Mapping[str, Tensor]) -> Candidate:
    """Return the network without torchvision's 7x7 pooling, where a classifier of 512 features proves it has none.

    A network without any classifier is one of maps.
    """
    found = [state[name] for name in _CLASSIFIERS if name in state]
    name = candidate.name.rpartition(":")[2]
    if name.startswith("vgg") and not any(part.startswith(_HEADS) for part in state):
        return _trunk(candidate)
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


def _trunk(candidate: Candidate) -> Candidate:
    """Return the network as one of maps, where nothing of a classifier is there: a mean of them is assumed."""
    if any(fact.flag == "--pool" and fact.source == "told" for fact in candidate.facts):
        return candidate
    pooled = Fact.of("pooling", "mean of the last map", Origin("assumed", "there is no classifier"), flag="--pool")
    others = tuple(fact for fact in candidate.facts if fact.flag != "--pool")
    return replace(candidate, build=lambda: _build(candidate), layer="the last map", facts=(pooled, *others))


def _build(candidate: Candidate) -> nn.Module:
    network = candidate.build()
    network.avgpool, network.classifier = nn.AdaptiveAvgPool2d(1), nn.Identity()
    return network
