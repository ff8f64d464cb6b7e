"""DenseNets under torchvision's names: growth, depths and widths are read from the tensors, as is the kind of stem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_LAYER = re.compile(r"features\.denseblock(\d+)\.denselayer(\d+)\.")
_FIRST = "features.denseblock1.denselayer1."
_SMALL = 32


def densenet_candidates(state: Mapping[str, Tensor], facts: Facts, *, newest_first: bool = False) -> list[Candidate]:
    """Return the one DenseNet with bottlenecks that has tensors of these shapes; none for other names.

    `newest_first` says that a layer's channels go before its input, where torchvision puts them after it.
    """
    depths: dict[int, int] = {}
    for match in filter(None, map(_LAYER.match, state)):
        depths[int(match[1])] = max(depths.get(int(match[1]), 0), int(match[2]))
    stem, narrow, wide = (
        state.get(name) for name in ("features.conv0.weight", f"{_FIRST}conv1.weight", f"{_FIRST}conv2.weight")
    )
    if not depths or stem is None or narrow is None or wide is None:
        return []
    if {stem.ndim, narrow.ndim, wide.ndim} != {4}:
        return []
    kernel, growth = stem.shape[-1], wide.shape[0]
    small = kernel == 3
    stride = facts.stem_stride or (1 if small else 2)
    pool = facts.stem_pool if facts.stem_pool is not None else not small
    settings: dict[str, Any] = {
        "growth_rate": growth,
        "block_config": tuple(depths[block] for block in sorted(depths)),
        "num_init_features": stem.shape[0],
        "bn_size": narrow.shape[0] // growth,
    }
    origin = facts.origin_of("stem_stride") if facts.stem_stride else ASSUMED
    said = f"stride {stride}, {'max-pool' if pool else 'no max-pool'}"
    found = (
        Fact.of("stem", said, origin, flag="--stem"),
        Fact.of("pooling", "ReLU, then the mean", Origin("names", "what torchvision's DenseNets do")),
    )
    bare_stem = "features.norm0.weight" not in state
    return [
        Candidate(
            name=f"densenet{'-'.join(map(str, settings['block_config']))}_k{growth}{'-cifar' if small else ''}",
            build=partial(
                _build, settings, stem=(kernel, stride, pool), bare_stem=bare_stem, newest_first=newest_first
            ),
            image_size=_SMALL if small and not pool else None,
            image_size_origin=Origin("assumed", "because a 3x3 stem usually means CIFAR"),
            facts=found,
        )
    ]


def _build(
    settings: Mapping[str, Any], *, stem: tuple[int, int, bool], bare_stem: bool, newest_first: bool
) -> nn.Module:
    from torchvision.models.densenet import DenseNet

    module: Any = DenseNet(**settings)
    kernel, stride, pool = stem
    width = settings["num_init_features"]
    features: Any = module.features
    features.conv0 = nn.Conv2d(3, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    if not pool:
        features.pool0 = nn.Identity()
    if bare_stem:  # of those for small images, whose first block normalises
        features.norm0 = features.relu0 = nn.Identity()
    for name, block in features.named_children():
        if newest_first and name.startswith("denseblock"):
            setattr(features, name, _NewestFirst(block))
    module.classifier = nn.Identity()
    built: nn.Module = module
    return built


class _NewestFirst(nn.Module):
    """A block of torchvision's, the channels of its layers in the opposite order."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        for name, layer in block.named_children():
            self.add_module(name, layer)

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        """Return the input after all that the layers add, the last one's first."""
        for layer in self.children():
            maps = torch.cat([layer(maps), maps], dim=1)
        return maps
