"""Four convolutions, 0.13 M weights: an encoder that a CPU trains in half a minute."""

from __future__ import annotations

from torch import nn


def build() -> nn.Module:
    """Return the network; images of any size from 8 px on, 128 features."""
    layers: list[nn.Module] = []
    for inputs, outputs, stride in ((3, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2)):
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
