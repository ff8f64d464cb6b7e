"""`ImageSplit`: the labelled images of one split, with stable row ids and nothing decoded before it is asked for."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.data.channels import ChannelStatistics
from repdiag.data.counter_rng import CounterStream, Keys, row_keys
from repdiag.data.reading_notes import ReadingNote

Rows = Sequence[int] | NDArray[Any] | Tensor
Texts = NDArray[Any]
"""An array of strings; its exact type holds the longest one's length, so it is not spelled out."""


@runtime_checkable
class ImageSource(Protocol):
    """Where pixels come from; positions are those of the source, not of a subset."""

    native_size: int | None
    """Side in pixels when all images are squares of one size, else None."""

    def image(self, position: int) -> Tensor:
        """Return one image: RGB uint8 [3, H, W], or float32 [C, H, W] in [0, 1] of other than three channels."""
        ...

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Return images of one fixed size: [B, C, S, S] of the same type as one image."""
        ...


@dataclass(frozen=True)
class Excluded:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageSplit:
    """The images of one split, their labels and their stable names.

    `labels` index `class_names`; -1 is an image without a label. `content` identifies the pixels (hashes of the files
    or of the array, and how they are read), so that `fingerprint` changes when a pixel, a label or a row does, and does
    not change when the folder is moved. `notes` say what was done to read them; `groups` which were made together, one
    name a row; `statistics` belong to images of other than three channels.
    """

    name: str
    split: str
    source: ImageSource
    positions: NDArray[np.int64]
    labels: NDArray[np.int64]
    row_ids: Texts
    class_names: tuple[str, ...]
    content: Texts
    preset: str
    excluded: tuple[Excluded, ...] = field(default=())
    notes: tuple[ReadingNote, ...] = field(default=())
    channels: int = 3
    statistics: ChannelStatistics | None = None
    groups: Texts | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "row_ids", "content"):
            if getattr(self, name).shape != self.positions.shape:
                raise DataError(f"{name} must have one entry for each of the {len(self)} images")
        if self.groups is not None and self.groups.shape != self.positions.shape:
            raise DataError(f"groups must have one entry for each of the {len(self)} images")
        if len(self) and not -1 <= self.labels.min() <= self.labels.max() < max(1, len(self.class_names)):
            raise DataError("labels must index the class names", found=f"{self.labels.min()}..{self.labels.max()}")
        if len(np.unique(self.row_ids)) != len(self):
            raise DataError("row ids must be unique", found=f"{self.name}, {self.split}")

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def labelled(self) -> bool:
        """Tell whether any image has a label."""
        return bool((self.labels >= 0).any())

    @property
    def native_size(self) -> int | None:
        """Side in pixels when all images are squares of one size, else None."""
        return self.source.native_size

    @functools.cached_property
    def keys(self) -> Keys:
        """The 64-bit key of each row, from which its augmentations are drawn."""
        return row_keys(self.row_ids.tolist())

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 over row ids, labels, class names and the identity of each image's content."""
        digest = hashlib.sha256()
        for part in (self.class_names, self.row_ids.tolist(), self.content.tolist()):
            digest.update(f"{len(part)};".encode())
            for text in part:
                encoded = text.encode("utf-8", "surrogatepass")
                digest.update(f"{len(encoded)}:".encode() + encoded)
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()

    def image(self, row: int) -> Tensor:
        """Return the image of one row: RGB uint8 [3, H, W], or float32 [C, H, W] in [0, 1]."""
        return self.source.image(int(self.positions[row]))

    def images(self, rows: Rows) -> Tensor:
        """Return the images of some rows of a split with a `native_size`: [B, C, S, S]."""
        if self.native_size is None:
            raise DataError("the images differ in size", hint="read them one by one with .image(row)")
        return self.source.stack(self.positions[np.asarray(rows)])

    def subset(self, rows: Rows) -> ImageSplit:
        """Return the split of the given rows, in that order (indices or a boolean mask)."""
        index = np.asarray(rows)
        index = np.flatnonzero(index) if index.dtype == np.bool_ else index.astype(np.int64)
        return replace(
            self,
            positions=self.positions[index],
            labels=self.labels[index],
            row_ids=self.row_ids[index],
            content=self.content[index],
            groups=None if self.groups is None else self.groups[index],
        )

    def class_counts(self) -> NDArray[np.int64]:
        """Return how many images each class has: [C]."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.class_names))

    def balanced(self, per_class: int, *, seed: int = 0) -> ImageSplit:
        """Return the same number of rows of every class that has any: `per_class`, or the smallest class's.

        The choice depends on the seed and the row ids alone; rows keep their order. Rows without a label are left out.
        """
        counts = self.class_counts()
        wanted = min(per_class, int(counts[counts > 0].min(initial=per_class)))
        return self.subset(np.sort(first_of_each_class(self, wanted, purpose="balanced", seed=seed)))

    def limited(self, count: int, *, seed: int = 0) -> ImageSplit:
        """Return at most `count` rows, spread as evenly over the classes as these allow.

        Two classes differ by one row at most, unless the smaller one has no more. The choice depends on the seed and
        the row ids alone, and a smaller `count` chooses among the rows of a larger one; rows keep their order. Rows
        without a label count as one class.
        """
        if count >= len(self):
            return self
        lots, rank = _drawn(self, purpose="limited", seed=seed)
        return self.subset(np.sort(np.lexsort((self.row_ids, lots, rank))[:count]))


def equal_galleries(*splits: ImageSplit, per_class: int, seed: int = 0) -> tuple[ImageSplit, ...]:
    """Return the splits with equally many rows of every class in all of them: `per_class`, or the rarest class's.

    A class that one of them lacks is left out of all. Raises `DataError` where they have no class in common.
    """
    counts = np.array([split.class_counts() for split in splits])
    common: NDArray[np.bool_] = np.all(counts > 0, axis=0)
    if not common.any():
        found = ", ".join(f"{len(split)} images in {split.split}" for split in splits)
        raise DataError(
            "no class has images in every part of the data", found=found, hint="give at least two images per class"
        )
    rows = min(per_class, int(counts[:, common].min()))
    kept = (split.subset((split.labels >= 0) & common[split.labels]) for split in splits)
    return tuple(split.balanced(rows, seed=seed) for split in kept)


def first_of_each_class(
    split: ImageSplit, count: int | NDArray[np.int64], *, purpose: str, seed: int
) -> NDArray[np.int64]:
    """Return the rows of the first `count` (one for all, or one a class) of every class in a seeded random order."""
    _, rank = _drawn(split, purpose=purpose, seed=seed)
    limits = np.append(np.broadcast_to(count, len(split.class_names)), 0)  # the last is of rows without a label, -1
    kept = np.flatnonzero(rank < limits[split.labels])
    return kept[np.lexsort((rank[kept], split.labels[kept]))]


def _drawn(split: ImageSplit, *, purpose: str, seed: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return each row's lot, and its place among the lots of its class."""
    lots = CounterStream.keyed(split.keys, purpose=purpose, seed=seed).bits(0)[:, 0]
    by_class = np.lexsort((split.row_ids, lots, split.labels))
    ordered = split.labels[by_class]
    rank = np.empty(len(split), dtype=np.int64)
    rank[by_class] = np.arange(len(split)) - np.searchsorted(ordered, ordered)
    return lots, rank


class ArraySource:
    """Images of one size in memory: uint8 [N, 3, S, S]."""

    def __init__(self, images: Tensor) -> None:
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise DataError("images must be uint8 [N, 3, H, W]", found=f"{images.dtype} {tuple(images.shape)}")
        self.pixels = images
        height, width = images.shape[-2:]
        self.native_size: int | None = height if height == width else None

    def image(self, position: int) -> Tensor:
        """Return one image."""
        return self.pixels[position]

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Return the images at the positions."""
        return self.pixels[torch.from_numpy(positions)]
