"""The ResNets that He et al. made for 32 x 32 images: 6n + 2 layers, widths 16/32/64, parameter-free shortcuts."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from repdiag.core.shapes import Float, Tensor

DEPTHS = {f"resnet{depth}": depth for depth in (20, 32, 44, 56, 110)}


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around an identity; where the shape changes, the identity is subsampled and zero-padded."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.padding = (planes - in_planes) // 2

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B E I J"]:
        """Return the block's output; E = C and the image size is kept, or E = 2C at half the size."""
        identity = x
        if self.stride != 1 or self.padding:
            identity = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + identity)


class CifarResNet(nn.Module):
    """ResNet-(6n + 2) with the key names of the public CIFAR-10 checkpoints (conv1, bn1, layer1.0.conv1, ..., linear).

    Reference: He et al. 2016, section 4.2 (option A shortcuts).
    """

    def __init__(self, depth: int, classes: int = 10) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1)
        self.layer2 = _stage(16, 32, blocks, stride=2)
        self.layer3 = _stage(32, 64, blocks, stride=2)
        self.linear: nn.Module = nn.Linear(64, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B C"]:
        """Return the logits (the pooled 64-d features once `linear` is an identity)."""
        out = F.relu(self.bn1(self.conv1(images)))
        out = self.layer3(self.layer2(self.layer1(out)))
        logits: Tensor = self.linear(out.mean(dim=(2, 3)))
        return logits


def _stage(in_planes: int, planes: int, blocks: int, *, stride: int) -> nn.Sequential:
    first = BasicBlock(in_planes, planes, stride)
    return nn.Sequential(first, *(BasicBlock(planes, planes, 1) for _ in range(blocks - 1)))
