"""Images of other than three channels: their mean and deviation by channel, from which an encoder's input follows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

SAMPLE = 256
"""Images from which the statistics are taken."""


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation [C] of the pixels in [0, 1] of `images` images."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    images: int

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def channel_statistics(image: Callable[[int], Tensor], rows: Sequence[int]) -> ChannelStatistics:
    """Return the statistics of some rows' images, each image with the same weight whatever its size.

    Formula: mean_c = mean over images of the mean pixel; std_c from the mean squared pixel, sqrt(E[x^2] - E[x]^2).
    """
    moments = torch.zeros(0)
    for row in rows:
        found = image(row)
        pixels = found.double() / 255.0 if found.dtype == torch.uint8 else found.double()
        both = torch.stack([pixels.mean(dim=(1, 2)), pixels.square().mean(dim=(1, 2))])
        moments = moments + both if len(moments) else both
    mean, square = moments / len(rows)
    std = (square - mean.square()).clamp_min(0.0).sqrt()
    return ChannelStatistics(tuple(mean.tolist()), tuple(std.clamp_min(1e-6).tolist()), len(rows))
