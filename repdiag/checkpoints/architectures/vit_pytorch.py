"""The vision transformers of vit-pytorch (lucidrains) since 2022: `ViT`, and `SimpleViT` with fixed sin-cos positions.

Both normalise patches before and after they are embedded, with PyTorch's epsilon; heads have 64 features unless told.
"""

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
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.shapes import Float

_HEAD = 64
_BLOCK = re.compile(r"transformer\.layers\.(\d+)\.0\.to_qkv\.weight$")
_TEMPERATURE = 10_000.0


@dataclass(frozen=True, kw_only=True)
class _Shape:
    width: int
    depth: int
    hidden: int
    heads: int
    inner: int
    patch: int
    positions: int  # 0 for sin-cos ones
    class_token: bool
    simple: bool
    pool: str


def vit_pytorch_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one network that has tensors of these shapes."""
    width, flat = state["to_patch_embedding.2.weight"].shape
    patch = math.isqrt(flat // 3)
    inner = state["transformer.layers.0.0.to_qkv.weight"].shape[0] // 3
    heads = facts.heads.get(0, inner // _HEAD)
    simple = "transformer.layers.0.0.to_out.weight" in state
    position, token = state.get("pos_embedding"), state.get("cls_token")
    has_token = token is not None and token.shape[0] == 1
    if 3 * patch * patch != flat or heads < 1 or inner % heads or (position is None) != simple or width % 4:
        return []
    pool, pool_origin = _pool(facts, has_token=has_token)
    shape = _Shape(
        width=width,
        depth=1 + max(int(match[1]) for match in map(_BLOCK.match, state) if match),
        hidden=state["transformer.layers.0.1.net.1.weight"].shape[0],
        heads=heads,
        inner=inner,
        patch=patch,
        positions=0 if position is None else position.shape[0],
        class_token=has_token,
        simple=simple,
        pool=pool,
    )
    side = math.isqrt(shape.positions - has_token) if shape.positions else 0
    heads_origin = facts.origin_of("heads") if 0 in facts.heads else Origin("assumed", f"{_HEAD} features a head")
    found = (
        Fact.of("attention heads", heads, heads_origin, flag="--heads"),
        Fact.of("pooling", pool, pool_origin, flag="--pool"),
    )
    layer = "class token" if pool == "token" else "mean of patch tokens"
    return [
        Candidate(
            name=f"vit-pytorch {'SimpleViT' if simple else 'ViT'} d{width} depth{shape.depth}",
            build=partial(_Network, shape),
            layer=layer,
            image_size=side * patch or None,
            image_size_origin=Origin("tensors", "pos_embedding") if side else None,
            facts=found,
        )
    ]


def _pool(facts: Facts, *, has_token: bool) -> tuple[str, Origin]:
    if facts.pool in ("token", "mean") and (has_token or facts.pool == "mean"):
        return facts.pool, facts.origin_of("pool")
    return ("token", ASSUMED) if has_token else ("mean", Origin("tensors", "there is no class token"))


class _Network(nn.Module):
    """Images -> the class token or the mean, after the last norm; the names of its tensors are vit-pytorch's."""

    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        self.shape = shape
        flat = 3 * shape.patch**2
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(), nn.LayerNorm(flat), nn.Linear(flat, shape.width), nn.LayerNorm(shape.width)
        )
        if shape.positions:
            self.pos_embedding = nn.Parameter(torch.zeros(shape.positions, shape.width))
            self.cls_token = nn.Parameter(torch.zeros(int(shape.class_token), shape.width))
        self.transformer = nn.Module()
        self.transformer.norm = nn.LayerNorm(shape.width)
        self.transformer.layers = nn.ModuleList(
            nn.ModuleList([_Attention(shape), _FeedForward(shape)]) for _ in range(shape.depth)
        )

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the features."""
        side = self.shape.patch
        cut = F.unfold(images, side, stride=side)
        cut = cut.reshape(len(images), 3, side * side, -1)  # patches are flattened by row, column, channel
        tokens: Tensor = self.to_patch_embedding(cut.permute(0, 3, 2, 1).flatten(2))
        if self.shape.positions:
            special = self.cls_token.expand(len(images), -1, -1)
            tokens = torch.cat([special, tokens], dim=1)
            if tokens.shape[1] > self.shape.positions:
                raise ValueError(f"{tokens.shape[1]} tokens, and {self.shape.positions} position embeddings")
            tokens = tokens + self.pos_embedding[: tokens.shape[1]]
        else:
            tokens = tokens + _sin_cos(images.shape[-2] // side, images.shape[-1] // side, like=tokens)
        for layer in self.transformer.get_submodule("layers").children():
            for part in layer.children():
                tokens = tokens + part(tokens)
        tokens = self.transformer.get_submodule("norm")(tokens)
        features: Tensor = tokens[:, 0] if self.shape.pool == "token" else tokens.mean(1)
        return features


class _Attention(nn.Module):
    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.to_qkv = nn.Linear(shape.width, 3 * shape.inner, bias=False)
        out = nn.Linear(shape.inner, shape.width, bias=not shape.simple)
        self.to_out: nn.Module = out if shape.simple else nn.Sequential(out)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        parts = self.to_qkv(self.norm(tokens)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out(mixed)
        return out


class _FeedForward(nn.Module):
    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        first, last = nn.Linear(shape.width, shape.hidden), nn.Linear(shape.hidden, shape.width)
        between = (nn.GELU(),) if shape.simple else (nn.GELU(), nn.Identity())  # a dropout, which does nothing here
        self.net = nn.Sequential(nn.LayerNorm(shape.width), first, *between, last)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        out: Tensor = self.net(tokens)
        return out


def _sin_cos(rows: int, columns: int, *, like: Tensor) -> Tensor:
    """Return [rows * columns, D]: sines and cosines of the column, then of the row, over D / 4 frequencies."""
    count = like.shape[-1] // 4
    speeds = _TEMPERATURE ** -(torch.arange(count, device=like.device) / (count - 1))
    row = torch.arange(rows, device=like.device).repeat_interleave(columns)[:, None] * speeds
    column = torch.arange(columns, device=like.device).repeat(rows)[:, None] * speeds
    return torch.cat([column.sin(), column.cos(), row.sin(), row.cos()], dim=1).to(like.dtype)
