"""Three small backbones: a plain network and a residual one with batch norm, and a transformer without."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from repdiag.models.cifar_resnet import CifarResNet

WIDTHS = {"cnn": 128, "resnet": 64, "vit": 96}


def build(name: str, *, size: int) -> nn.Module:
    """Return the network `name` for images of `size` pixels: normalised images [B, 3, S, S] -> features [B, D]."""
    if name == "cnn":
        return SmallCNN()
    if name == "resnet":
        network = CifarResNet(20)
        network.linear = nn.Identity()
        return nn.Sequential(nn.AvgPool2d(2), network)  # at half the resolution: a quarter of the time
    return SmallTransformer(size)


class SmallCNN(nn.Module):
    """Three convolutions with batch norm, average pooling: 128 features."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in ((3, 32, 2), (32, 64, 2), (64, 128, 1)):
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the pooled features."""
        return self.layers(images).mean((2, 3))


class SmallTransformer(nn.Module):
    """Sixteen patches, width 96, three blocks of three heads, average over the tokens."""

    def __init__(self, size: int) -> None:
        super().__init__()
        width = WIDTHS["vit"]
        self.patches = nn.Conv2d(3, width, size // 4, stride=size // 4)
        self.position = nn.Parameter(0.02 * torch.randn(1, 16, width))
        block = nn.TransformerEncoderLayer(width, 3, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 3, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean token."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.position
        return self.norm(self.blocks(tokens)).mean(1)
