"""torchvision's vision transformers for images of any size; at their own size they compute what they always did."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import VisionTransformer
from typing_extensions import override


class AnySizeTransformer(VisionTransformer):  # type: ignore[misc]
    """Pads a border to whole patches, and resamples the position embeddings where the grid of patches is another."""

    @override
    def forward(self, x: Tensor) -> Tensor:
        """Return the class token's features of images [B, 3, H, W]."""
        from timm.layers.pos_embed import resample_abs_pos_embed

        down, right = (-side % self.patch_size for side in x.shape[-2:])
        patches = self.conv_proj(F.pad(x, (0, right, 0, down)))
        grid = [int(side) for side in patches.shape[-2:]]
        tokens = patches.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), tokens], dim=1)
        positions = self.encoder.pos_embedding
        if positions.shape[1] != tokens.shape[1]:
            positions = resample_abs_pos_embed(positions, grid)
        encoder = self.encoder
        encoded = encoder.ln(encoder.layers(encoder.dropout(tokens + positions)))
        features: Tensor = self.heads(encoded[:, 0])
        return features


def any_size(network: VisionTransformer, *, image_size: int, patch_size: int | None = None) -> AnySizeTransformer:
    """Return the network itself, ready for any size, with as many position embeddings as `image_size` has patches.

    Another `patch_size` than its own brings a new first layer.
    """
    if patch_size is not None and patch_size != network.patch_size:
        network.patch_size = patch_size
        network.conv_proj = nn.Conv2d(3, network.hidden_dim, kernel_size=patch_size, stride=patch_size)
        nn.init.trunc_normal_(network.conv_proj.weight, std=(3 * patch_size**2) ** -0.5)
        nn.init.zeros_(network.conv_proj.bias)
    network.image_size = image_size
    count = (-(-image_size // network.patch_size)) ** 2 + 1
    if network.encoder.pos_embedding.shape[1] != count:
        positions = torch.empty(1, count, network.hidden_dim).normal_(std=0.02)
        network.encoder.pos_embedding = nn.Parameter(positions)
        network.seq_length = count
    network.__class__ = AnySizeTransformer
    assert isinstance(network, AnySizeTransformer)
    return network
