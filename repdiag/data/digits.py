"""scikit-learn's 1,797 handwritten digits: real images that need no download."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from numpy.typing import NDArray

from repdiag.data.counter_rng import CounterStream, row_keys
from repdiag.data.image_split import ArraySource, ImageSplit
from repdiag.data.open_request import OpenRequest

VAL_PER_CLASS = 36  # 360 of 1,797 (a fifth), the same number of each digit
CLASS_NAMES = tuple(str(digit) for digit in range(10))


def open_digits(request: OpenRequest) -> ImageSplit:
    """Return the digits as 16 px RGB images: 1,437 to train on, 360 (36 of each digit) to validate on.

    The 8 x 8 grey levels 0..16 become round(255 level / 16); each pixel is doubled along both axes, so that no
    filter is involved and the images are the same on every machine. The split is drawn once, by hash.
    """
    from sklearn.datasets import load_digits

    split = request.split
    levels, labels = load_digits(return_X_y=True)
    grey = np.rint(levels.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    pixels = np.repeat(np.repeat(grey, 2, axis=1), 2, axis=2)
    images = np.ascontiguousarray(np.broadcast_to(pixels[:, None], (len(pixels), 3, 16, 16)))
    rows = np.flatnonzero(_is_val(labels) == (split == "val"))
    return ImageSplit(
        name="digits",
        split=split,
        source=ArraySource(torch.from_numpy(images)),
        positions=rows,
        labels=labels[rows].astype(np.int64),
        row_ids=np.array([f"{split}/{row:06d}" for row in rows]),
        class_names=CLASS_NAMES,
        content=np.array([hashlib.sha256(images[row].tobytes()).hexdigest() for row in rows]),
        preset="digits",
    )


def _is_val(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    keys = row_keys(f"digits/{row}" for row in range(len(labels)))
    lots = CounterStream.keyed(keys, purpose="digits", seed=0).bits(0)[:, 0]
    by_class = np.lexsort((lots, labels))
    ordered = labels[by_class]
    is_val = np.zeros(len(labels), dtype=bool)
    is_val[by_class] = np.arange(len(labels)) - np.searchsorted(ordered, ordered) < VAL_PER_CLASS
    return is_val
