"""CIFAR networks whose blocks normalise before they convolve: wide ResNets and pytorch-cifar's PreActResNet.

Both read the shortcut's convolution from the normalised input. Wide ResNets (xternalz, TRADES, RobustBench) keep blocks
under `blockN.layer`, and normalise once more before the pooling; PreActResNets under `layerN`, and do not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_SIZE = 32
_STAGE = re.compile(r"layer(\d)\.(\d+)\.conv2\.weight")


def preactivation_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one network with these blocks, under `layerN.M` with `shortcut` and, if it has one, the last `bn1`."""
    del facts
    places = sorted((int(match[1]), int(match[2])) for match in map(_STAGE.fullmatch, state) if match)
    stem = state.get("conv1.weight")
    if not places or stem is None or stem.ndim != 4 or stem.shape[-1] != 3:
        return []
    depths = [sum(stage == number for stage, _ in places) for number in range(1, places[-1][0] + 1)]
    widths = [state[f"layer{number}.0.conv2.weight"].shape[0] for number in range(1, len(depths) + 1)]
    last = "bn1.weight" in state
    kind = f"wide_resnet{sum(depths) * 2 + 4}_{widths[0] // 16}" if last else f"preact_resnet{sum(depths) * 2 + 2}"
    code = Origin("names", "what the code with these names does")
    return [
        Candidate(
            name=f"{kind}-cifar",
            build=partial(PreActivation, stem.shape[0], widths, depths, last=last),
            image_size=_SIZE,
            image_size_origin=Origin("assumed", "because a 3x3 stem usually means CIFAR"),
            facts=(
                Fact.of("stem", "stride 1, no max-pool", ASSUMED),
                Fact.of("pooling", "norm, ReLU, then the mean" if last else "mean", code),
            ),
        )
    ]


class _Block(nn.Module):
    """One block: norm, ReLU and convolution, twice."""

    def __init__(self, inside: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        changes = stride != 1 or inside != width
        self.shortcut = nn.Sequential(nn.Conv2d(inside, width, 1, stride=stride, bias=False)) if changes else None

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D h w"]:
        """Return the block's maps."""
        ready = torch.relu(self.bn1(maps))
        beside = maps if self.shortcut is None else self.shortcut(ready)
        changed: Tensor = self.conv2(torch.relu(self.bn2(self.conv1(ready)))) + beside
        return changed


class PreActivation(nn.Module):
    """Images [B, 3, 32, 32] -> features [B, D]; every stage after the first halves the side of the maps."""

    def __init__(self, stem: int, widths: list[int], depths: list[int], *, last: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        inside, self.stages = stem, len(widths)
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), 1):
            blocks = []
            for block in range(depth):
                blocks.append(_Block(inside, width, stride=2 if block == 0 and number > 1 else 1))
                inside = width
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.bn1 = nn.BatchNorm2d(inside) if last else None

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the mean of the last map."""
        maps: Tensor = self.conv1(images)
        for number in range(1, self.stages + 1):
            maps = getattr(self, f"layer{number}")(maps)
        if self.bn1 is not None:
            maps = torch.relu(self.bn1(maps))
        return maps.mean((2, 3))
