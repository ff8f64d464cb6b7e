"""How pixels are normalised for an encoder: by its own mean and deviation, or by the images' where it has none."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.checkpoints.encoder import Encoder
from repdiag.core.errors import DataError
from repdiag.core.shapes import Float
from repdiag.data.image_split import ImageSplit
from repdiag.models.backbones import input_channels


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation of each channel of images in [0, 1]; `bgr` turns the channels round before."""

    mean: tuple[float, ...]
    std: tuple[float, ...]
    bgr: bool = False

    def apply(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        """Return (images - mean) / std, channel by channel."""
        shape = (1, len(self.mean), 1, 1)
        mean, std = (torch.tensor(values, device=images.device).view(shape) for values in (self.mean, self.std))
        return ((images.flip(1) if self.bgr else images) - mean) / std


def normalization_of(encoder: Encoder, split: ImageSplit) -> Normalization:
    """Return the encoder's own normalisation where it is of as many channels as the images, else the images' own.

    Raises `DataError` where the encoder's first convolution takes another number of channels than the images have.
    """
    takes = input_channels(encoder.backbone)
    if takes is not None and takes != split.channels:
        several = "all" if takes > split.channels else "+".join(str(number + 1) for number in range(takes))
        raise DataError(
            f"the encoder takes images of {takes} channels",
            found=f"{split.name} has images of {split.channels}",
            hint=f"choose channels after the data path: ,channels={several}; or another encoder",
        )
    info = encoder.info
    if len(info.mean) == len(info.std) == split.channels:
        return Normalization(tuple(info.mean), tuple(info.std), info.bgr)
    if split.statistics is None:
        raise DataError(
            f"the normalisation is of {len(info.mean)} channels",
            found=f"{split.name} has images of {split.channels}",
            hint=f"give {split.channels} numbers with --mean and --std",
        )
    return Normalization(split.statistics.mean, split.statistics.std)
