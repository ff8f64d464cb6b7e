"""Ceilings for what a file may ask for without bringing the bytes: the depth of a network, the size of its images."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from repdiag.core.errors import CheckpointError

MAX_INDEX = 256
"""The largest number in a tensor's name; the deepest networks of libraries have 64 blocks, ResNet-1202 200 a stage."""
MAX_TENSORS = 20_000
"""Tensors of one encoder; the largest of timm have 2,000."""
MAX_IMAGE_SIZE = 2048
"""Side of an image in pixels; encoders are trained at up to 1024."""
_NUMBER = re.compile(r"(?:^|\.)(\d+)(?=\.)")


def expect_bounded(state: Mapping[str, Tensor]) -> None:
    """Raise `CheckpointError` where the names of an encoder's tensors stand for a network that nobody makes."""
    if len(state) > MAX_TENSORS:
        raise CheckpointError("the file has more tensors than an encoder can have", found=f"{len(state):,}")
    for name in state:
        for number in _NUMBER.findall(name):
            if len(number) > len(str(MAX_INDEX)) or int(number) > MAX_INDEX:
                raise CheckpointError(
                    "a tensor is numbered higher than the layers of any network",
                    found=name[:80],
                    hint="--prefix NAME., if the encoder is another part of the file",
                )


def bounded_image_size(size: int) -> int:
    """Return the size of the images that a file asks for; raises `CheckpointError` for one that cannot be meant."""
    if not 1 <= size <= MAX_IMAGE_SIZE:
        raise CheckpointError(
            f"the file asks for images of {str(size)[:20]} pixels",
            found=f"1 to {MAX_IMAGE_SIZE} are read",
            hint="give the size that the encoder was trained at with --image-size N",
        )
    return size
