"""The MobileNetV3 of SEED and ssl-small: torchvision's tensors with another BN epsilon and squeeze-excite order."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.formats.format import Facts

_HIDDEN = {1024: "small", 1280: "large"}
_EPS = 1e-5


def small_mobilenet_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the small or the large network, by the width of its hidden classifier layer."""
    del facts
    hidden = state.get("classifier.0.weight")
    size = _HIDDEN.get(hidden.shape[0]) if hidden is not None else None
    if size is None:
        return []
    return [Candidate(name=f"mobilenetv3_{size} (SEED, ssl-small)", build=partial(_build, size), layer="classifier.1")]


def _build(size: str) -> nn.Module:
    """Return torchvision's network, changed to that of the two repositories, up to its hidden classifier layer."""
    import torchvision
    from torchvision.models.mobilenetv3 import InvertedResidual

    network: nn.Module = torchvision.models.get_model(f"mobilenet_v3_{size}", weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = _EPS
        elif isinstance(module, InvertedResidual) and len(module.block) == 4:
            module.block = _excite_first(module.block)
    hidden = network.classifier
    assert isinstance(hidden, nn.Sequential)
    network.classifier = nn.Sequential(hidden[0], nn.Hardswish())
    return network


def _excite_first(block: nn.Sequential) -> nn.Sequential:
    """Return the block with squeeze-excite before, not after, the activation of the depthwise layer."""
    expand, depthwise, excite, project = block
    assert isinstance(depthwise, nn.Sequential)
    activation = depthwise[2]
    depthwise[2] = nn.Identity()
    layers = (("0", expand), ("1", depthwise), ("2", excite), ("activation", activation), ("3", project))
    return nn.Sequential(OrderedDict(layers))
