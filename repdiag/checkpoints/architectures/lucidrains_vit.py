"""The vision transformer of early vit-pytorch (lucidrains), which ssl-small takes as its `vit_tiny`.

It is not timm's: attention is wider than the tokens (heads of 64 features each, whatever the width), without a bias
on queries, keys and values; patches are flattened row, column, channel; layer normalisation has PyTorch's epsilon.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError
from repdiag.core.shapes import Float

_HEAD_WIDTH = 64
_BLOCK = re.compile(r"transformer\.layers\.(\d+)\.0\.fn\.to_qkv\.weight$")


def lucidrains_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one network that has tensors of these shapes."""
    width, flat = state["to_patch_embedding.1.weight"].shape
    tokens = state["pos_embedding"].shape[1]
    patch, side = math.isqrt(flat // 3), math.isqrt(tokens - 1)
    inner = state["transformer.layers.0.0.fn.to_qkv.weight"].shape[0] // 3
    heads = facts.heads.get(0, facts.heads.get(width, inner // _HEAD_WIDTH))
    if 3 * patch * patch != flat or side * side + 1 != tokens or heads < 1 or inner % heads:
        return []
    depth = 1 + max(int(match[1]) for match in map(_BLOCK.match, state) if match)
    hidden = state["transformer.layers.0.1.fn.net.0.weight"].shape[0]
    shape = _Shape(width=width, depth=depth, hidden=hidden, heads=heads, inner=inner, patch=patch, tokens=tokens)

    name = "vit_tiny (ssl-small)" if (width, depth, heads) == (192, 12, 6) else f"vit-pytorch d{width} depth{depth}"
    assumed = f"{heads} attention heads of {inner // heads} features, as vit-pytorch makes them; --heads N if otherwise"
    return [
        Candidate(
            name=name,
            build=lambda: _Network(shape),
            layer="mlp_head.0",
            image_size=side * patch,
            assumptions=(assumed,),
        )
    ]


@dataclass(frozen=True, kw_only=True)
class _Shape:
    width: int
    depth: int
    hidden: int
    heads: int
    inner: int
    patch: int
    tokens: int


class _Network(nn.Module):
    """Images -> the class token after the last normalisation; the names of its tensors are vit-pytorch's."""

    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        self.shape = shape
        patch_values = 3 * shape.patch * shape.patch
        self.to_patch_embedding = nn.Sequential(nn.Identity(), nn.Linear(patch_values, shape.width))
        self.pos_embedding = nn.Parameter(torch.zeros(1, shape.tokens, shape.width))
        self.cls_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.transformer = _Transformer(shape)
        self.mlp_head = nn.Sequential(nn.LayerNorm(shape.width))

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        tokens = self.to_patch_embedding(self._patches(images))
        tokens = torch.cat([self.cls_token.expand(len(images), -1, -1), tokens], dim=1)
        if tokens.shape[1] > self.shape.tokens:
            raise CheckpointError(f"{tokens.shape[1] - 1} patches, and {self.shape.tokens - 1} position embeddings")
        tokens = tokens + self.pos_embedding[:, : tokens.shape[1]]  # smaller images take the first ones, as theirs do
        features: Tensor = self.mlp_head(self.transformer(tokens)[:, 0])
        return features

    def _patches(self, images: Tensor) -> Tensor:
        """Return [B, N, patch * patch * 3], each patch flattened by row, column, channel."""
        side = self.shape.patch
        cut = F.unfold(images, side, stride=side)
        return cut.reshape(len(images), 3, side * side, -1).permute(0, 3, 2, 1).flatten(2)


class _Transformer(nn.Module):
    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList([_Normed(shape.width, _Attention(shape)), _Normed(shape.width, _FeedForward(shape))])
            for _ in range(shape.depth)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            for part in layer:
                tokens = tokens + part(tokens)
        return tokens


class _Normed(nn.Module):
    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = fn

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.fn(self.norm(tokens))
        return found


class _Attention(nn.Module):
    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.to_qkv = nn.Linear(shape.width, 3 * shape.inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(shape.inner, shape.width))

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        query, key, value = self.to_qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        out: Tensor = self.to_out(mixed)
        return out


class _FeedForward(nn.Module):
    def __init__(self, shape: _Shape) -> None:
        super().__init__()
        layers = (nn.Linear(shape.width, shape.hidden), nn.GELU(), nn.Identity(), nn.Linear(shape.hidden, shape.width))
        self.net = nn.Sequential(*layers)

    def forward(self, tokens: Tensor) -> Tensor:
        out: Tensor = self.net(tokens)
        return out
