"""SimCLR v2's ResNets with selective kernels, as Separius/SimCLRv2-Pytorch names their tensors.

No library has them: a stem of three convolutions, blocks whose 3x3 convolution is a soft choice between two, and
shortcuts that average 2x2 pixels (padded below and to the right) before a 1x1 convolution.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_BLOCK = re.compile(r"net\.([1-4])\.blocks\.(\d+)\.")
_NAMES: Mapping[tuple[int, ...], str] = {
    (3, 4, 6, 3): "resnet50",
    (3, 4, 23, 3): "resnet101",
    (3, 8, 36, 3): "resnet152",
}


def selective_kernel_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one network that has tensors of these shapes."""
    del facts
    counts: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, state)):
        counts[int(match[1])] = max(counts.get(int(match[1]), 0), int(match[2]) + 1)
    mixing = {stage: state.get(f"net.{stage}.blocks.0.net.2.mixing_conv.0.weight") for stage in range(1, 5)}
    stem = state.get("net.0.4.weight")
    if len(counts) != 4 or stem is None or any(value is None for value in mixing.values()):
        return []
    depths = tuple(counts[stage] for stage in range(1, 5))
    widths = tuple(value.shape[0] for value in mixing.values() if value is not None)
    width = stem.shape[0]
    name = f"{_NAMES.get(depths, f'resnet-{depths}')}_{width // 64}x_sk (SimCLR v2)"
    return [Candidate(name=name, build=partial(_Network, width, depths, widths))]


def _conv(before: int, after: int, *, side: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, stride=stride, padding=side // 2, bias=False)


def _normed(width: int, *, relu: bool = True) -> nn.Sequential:
    return nn.Sequential(nn.BatchNorm2d(width), nn.ReLU() if relu else nn.Identity())


class _SelectiveKernel(nn.Module):
    def __init__(self, width: int, mixing: int, *, stride: int) -> None:
        super().__init__()
        self.main_conv = nn.Sequential(_conv(width, 2 * width, side=3, stride=stride), _normed(2 * width))
        self.mixing_conv = nn.Sequential(
            _conv(width, mixing, side=1), _normed(mixing), _conv(mixing, 2 * width, side=1)
        )

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        choices = self.main_conv(maps).unflatten(1, (2, -1))
        weights = self.mixing_conv(choices.sum(1).mean((2, 3), keepdim=True)).unflatten(1, (2, -1))
        chosen: Tensor = (choices * torch.softmax(weights, dim=1)).sum(1)
        return chosen


class _Projection(nn.Module):
    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        pooled = (nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(2, stride=stride), _conv(before, after, side=1))
        self.shortcut = nn.Sequential(*pooled)
        self.bn = _normed(after, relu=False)

    def forward(self, maps: Tensor) -> Tensor:
        found: Tensor = self.bn(self.shortcut(maps))
        return found


class _Block(nn.Module):
    def __init__(self, before: int, width: int, mixing: int, *, stride: int, project: bool) -> None:
        super().__init__()
        self.projection = _Projection(before, 4 * width, stride=stride) if project else nn.Identity()
        self.net = nn.Sequential(
            _conv(before, width, side=1),
            _normed(width),
            _SelectiveKernel(width, mixing, stride=stride),
            _conv(width, 4 * width, side=1),
            _normed(4 * width, relu=False),
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.projection(maps) + self.net(maps))


class _Stage(nn.Module):
    def __init__(self, before: int, width: int, mixing: int, *, depth: int, stride: int) -> None:
        super().__init__()
        first = _Block(before, width, mixing, stride=stride, project=True)
        others = (_Block(4 * width, width, mixing, stride=1, project=False) for _ in range(depth - 1))
        self.blocks = nn.ModuleList([first, *others])

    def forward(self, maps: Tensor) -> Tensor:
        for block in self.blocks:
            maps = block(maps)
        return maps


class _Network(nn.Module):
    """Images -> pooled features."""

    def __init__(self, width: int, depths: tuple[int, ...], mixing: tuple[int, ...]) -> None:
        super().__init__()
        half = width // 2
        stem = (
            *(_conv(3, half, side=3, stride=2), _normed(half), _conv(half, half, side=3), _normed(half)),
            *(_conv(half, width, side=3), _normed(width), nn.MaxPool2d(3, stride=2, padding=1)),
        )
        stages = [
            _Stage(
                width if number == 0 else 4 * width * 2 ** (number - 1),
                width * 2**number,
                mixing[number],
                depth=depth,
                stride=1 if number == 0 else 2,
            )
            for number, depth in enumerate(depths)
        ]
        self.net = nn.Sequential(nn.Sequential(*stem), *stages)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        maps: Tensor = self.net(images)
        return maps.mean((2, 3))
