"""The ResNets of CLIP (RN50 and others): three convolutions in the stem, averaged strides, attention pooling."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_BLOCK = re.compile(r"layer(\d)\.(\d+)\.")
_STRIDE = 32
_HEAD = 64  # features of an attention head


@dataclass(frozen=True, kw_only=True)
class _Shape:
    width: int
    depths: tuple[int, ...]
    side: int
    out: int
    heads: int


def clip_resnet_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one network that has tensors of these shapes."""
    depths: dict[int, int] = {}
    for match in filter(None, map(_BLOCK.match, state)):
        depths[int(match[1])] = max(depths.get(int(match[1]), 0), int(match[2]) + 1)
    positions, dim = state["attnpool.positional_embedding"].shape
    side = math.isqrt(positions - 1)
    width = state["layer1.0.conv1.weight"].shape[0]
    heads = facts.heads.get(0, dim // _HEAD)
    if sorted(depths) != [1, 2, 3, 4] or side * side + 1 != positions or heads < 1 or dim % heads:
        return []
    shape = _Shape(
        width=width,
        depths=tuple(depths[stage] for stage in range(1, 5)),
        side=side,
        out=state["attnpool.c_proj.weight"].shape[0],
        heads=heads,
    )
    given = bool(facts.heads.get(0))
    heads_origin = facts.origin_of("heads") if given else Origin("family", f"{_HEAD} features a head")
    found = (
        Fact.of("attention heads", heads, heads_origin, flag="--heads"),
        Fact.of("pooling", "attention pooling, projected", Origin("tensors", "attnpool")),
    )
    return [
        Candidate(
            name=f"resnet_clip-{'-'.join(map(str, shape.depths))}_w{width}",
            build=partial(_Network, shape),
            layer="attention pooling",
            image_size=side * _STRIDE,
            image_size_origin=Origin("tensors", "attnpool.positional_embedding"),
            facts=found,
        )
    ]


class _Block(nn.Module):
    """A bottleneck that averages instead of striding."""

    def __init__(self, before: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample: nn.Module | None = None
        if stride > 1 or before != 4 * width:
            convolution = nn.Conv2d(before, 4 * width, 1, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(4 * width))

    def forward(self, maps: Tensor) -> Tensor:
        inner = torch.relu(self.bn1(self.conv1(maps)))
        inner = self.pool(torch.relu(self.bn2(self.conv2(inner))))
        beside = maps if self.downsample is None else self.downsample(self.pool(maps))
        return torch.relu(self.bn3(self.conv3(inner)) + beside)


class _AttentionPool(nn.Module):
    """The mean of the map asks the map, with position embeddings, and what is answered is projected."""

    def __init__(self, shape: _Shape, dim: int) -> None:
        super().__init__()
        self.heads = shape.heads
        self.side = shape.side
        self.positional_embedding = nn.Parameter(torch.zeros(shape.side**2 + 1, dim))
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim) for _ in range(3))
        self.c_proj = nn.Linear(dim, shape.out)

    def forward(self, maps: Float[Tensor, "B D H W"]) -> Float[Tensor, "B P"]:
        tokens = maps.flatten(2).transpose(1, 2)
        if tokens.shape[1] != self.side**2:
            raise ValueError(f"the attention pooling is for maps of {self.side} x {self.side}")
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], dim=1) + self.positional_embedding
        parts = (self.q_proj(tokens[:, :1]), self.k_proj(tokens), self.v_proj(tokens))
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        answer = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        projected: Tensor = self.c_proj(answer[:, 0])
        return projected


class _Network(nn.Module):
    """Images -> what `encode_image` returns, before it is normalised."""

    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        width, half = shape.width, shape.width // 2
        self.conv1, self.bn1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.avgpool = nn.AvgPool2d(2)
        before = width
        for stage, depth in enumerate(shape.depths):
            inner = width * 2**stage
            first = _Block(before, inner, stride=1 if stage == 0 else 2)
            others = (_Block(4 * inner, inner, stride=1) for _ in range(depth - 1))
            setattr(self, f"layer{stage + 1}", nn.Sequential(first, *others))
            before = 4 * inner
        self.attnpool = _AttentionPool(shape, before)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B P"]:
        maps = images
        for number in ("1", "2", "3"):
            maps = torch.relu(getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(maps)))
        maps = self.avgpool(maps)
        for stage in range(1, 5):
            maps = getattr(self, f"layer{stage}")(maps)
        features: Tensor = self.attnpool(maps)
        return features
