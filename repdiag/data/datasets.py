"""Datasets by name: `open_dataset(spec, split)`."""

from __future__ import annotations

from pathlib import Path

from repdiag.core.errors import unknown_name
from repdiag.data.digits import open_digits
from repdiag.data.image_split import ImageSplit

SPLITS = ("train", "val")


def open_dataset(
    spec: str, split: str, *, root: Path | None = None, download: bool = False, strict: bool = False
) -> ImageSplit:
    """Open a split ("train" or "val") of the named dataset."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if spec == "digits":
        return open_digits(split)
    raise unknown_name("dataset", spec, ("digits",))
