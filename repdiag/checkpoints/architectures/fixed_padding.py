"""EfficientNets of efficientnet_pytorch: TensorFlow's padding, fixed for one image size when the network is built.

timm computes the same padding from every input. At the network's own size the two agree; at another size they differ
wherever a map with an odd side would have been even, or the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import named_candidates
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_SIZES = {
    **{"b0": 224, "b1": 240, "b2": 260, "b3": 300, "b4": 380, "b5": 456, "b6": 528, "b7": 600, "b8": 672, "l2": 800},
    **{"lite0": 224, "lite1": 240, "lite2": 260, "lite3": 280, "lite4": 300},
}


def fixed_padding_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return timm's networks of these shapes, with the padding of the size that the package builds them for."""
    options = named_candidates(state, None, facts.arch_like)
    return [_fixed(option, _SIZES.get(option.name.rpartition("_")[2])) for option in options]


def _fixed(option: Candidate, size: int | None) -> Candidate:
    if size is None:
        return option
    note = f"padding as for {size} pixels at every image size, as efficientnet_pytorch fixes it"
    build = partial(_build, option, size)
    return replace(option, build=build, image_size=size, assumptions=(*option.assumptions, note))


def _build(option: Candidate, size: int) -> nn.Module:
    from timm.layers.conv2d_same import Conv2dSame

    network = option.build()
    side = size
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, Conv2dSame):
                setattr(module, name, _FixedPadding(child, side))
                side = math.ceil(side / child.stride[0])
    return network


class _FixedPadding(nn.Conv2d):
    """A convolution padded as TensorFlow would pad maps of one given side."""

    def __init__(self, like: nn.Conv2d, side: int) -> None:
        kernel, stride = like.kernel_size[0], like.stride[0]
        super().__init__(
            like.in_channels,
            like.out_channels,
            kernel,
            stride=stride,
            groups=like.groups,
            bias=like.bias is not None,
            device=like.weight.device,
        )
        total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
        self.before, self.after = total // 2, total - total // 2

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        return super().forward(F.pad(maps, (self.before, self.after, self.before, self.after)))
