"""Decoded images as the split of a dataset without labels, for measurements."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from repdiag.data.image_split import ArraySource, ImageSplit


def split_of(images: Tensor, *, preset: str, stacked: bool = True) -> ImageSplit:
    """Return the split of uint8 images [N, 3, H, W]; without `stacked` they pass for images of unlike sizes."""
    source = ArraySource(images)
    source.native_size = source.native_size if stacked else None
    rows = np.arange(len(images))
    return ImageSplit(
        name="images",
        split="train",
        source=source,
        positions=rows,
        labels=np.zeros(len(rows), np.int64),
        row_ids=rows.astype(str),
        class_names=("any",),
        content=rows.astype(str),
        preset=preset,
    )
