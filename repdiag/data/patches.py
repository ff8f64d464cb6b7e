"""Hide-and-seek: cells of a grid hidden at random (Singh & Lee 2017; used as an augmentation by shi2022)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.data.counter_rng import CounterStream

# The training mean of ImageNet, so that a hidden pixel is zero after the usual normalisation.
HIDDEN_COLOUR = (0.485, 0.456, 0.406)


def draw_cells(
    stream: CounterStream,
    *,
    slot: int,
    sides: Sequence[int],
    choice: NDArray[np.int64],
    size: int,
    probability: float,
) -> NDArray[np.bool_]:
    """Return which pixels of each `size` x `size` view are hidden: [B, size, size].

    Row b is cut into cells of `sides[choice[b]]` pixels, each hidden independently; a side of 0 hides nothing.
    """
    most = -(-size // min(side for side in sides if side))  # the finest grid decides how many cells are drawn
    draws = stream.uniform(slot, most * most).reshape(len(choice), most, most) < probability
    side = np.array(sides)[choice]
    cell = np.minimum(np.arange(size) // np.maximum(side, 1)[:, None], most - 1)
    rows = np.arange(len(side))[:, None, None]
    hidden: NDArray[np.bool_] = draws[rows, cell[:, :, None], cell[:, None, :]] & (side > 0)[:, None, None]
    return hidden


def hide(images: Tensor, hidden: Tensor) -> Tensor:
    """Give the hidden pixels [B, H, W] of images [B, C, H, W] the colour of the mean, in place.

    That is ImageNet's mean of three channels, and each image's own mean of any other number.
    """
    if images.shape[1] != 3:
        own = images.mean(dim=(2, 3), keepdim=True).expand_as(images)
        return images.copy_(torch.where(hidden[:, None], own, images))
    for channel, level in zip(images.unbind(dim=1), HIDDEN_COLOUR, strict=True):
        channel.masked_fill_(hidden, level)
    return images
