"""Packed images: a folder's files decoded once to one size, checksummed, and read back by memory map."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from repdiag.core.errors import StoreError
from repdiag.core.files import write_atomic
from repdiag.data.folders import cache_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.resample import resize_and_centre
from repdiag.data.workers import over_workers

_LOG = logging.getLogger(__name__)
_VERSION = 1  # raised when a file packs to other pixels
_SHARD_BYTES = 1 << 26

Pixels = NDArray[Any]
Progress = Callable[[int, int], None]
"""Called with the images that are packed and the number of all."""


def pack(split: ImageSplit, size: int, *, workers: int = 0, progress: Progress | None = None) -> ImageSplit:
    """Return the split with every image at `size` x `size` pixels, decoded once and kept.

    The shorter side is resized to `size` (antialiased) and the centre taken; images of that size stay as they are.
    The pack lives under `$REPDIAG_CACHE/packed`, keyed by the split's fingerprint and the size. It is built shard by
    shard, each durable by itself, so that an interrupted build goes on where it stopped, by `workers` processes.
    Raises `StoreError` when the disk has no room for it.
    """
    key = hashlib.sha256(f"{_VERSION}:{split.fingerprint}:{size}".encode()).hexdigest()[:32]
    source = PackedSource(split, size, folder=cache_folder("packed") / key)
    source.build(workers=workers, progress=progress)
    return replace(split, source=source, positions=np.arange(len(split)))


class PackedSource:
    """Shards of [n, C, S, S], uint8 of three channels, else float32; each a .npy whose name holds its SHA-256.

    Each shard is hashed when it is first read, and made again if it is damaged or missing.
    """

    def __init__(self, original: ImageSplit, size: int, *, folder: Path) -> None:
        self.native_size: int | None = size
        self._original, self._size, self._folder = original, size, folder
        self._channels, self._kind = original.channels, np.dtype(np.uint8 if original.channels == 3 else np.float32)
        self._image_bytes = self._channels * size * size * self._kind.itemsize
        per_shard = max(1, _SHARD_BYTES // self._image_bytes)
        self._shards = [
            range(start, min(start + per_shard, len(original))) for start in range(0, len(original), per_shard)
        ]
        self._paths: dict[int, Path] = {}
        self._maps: dict[int, Pixels] = {}

    def build(self, *, workers: int = 0, progress: Progress | None = None) -> None:
        """Make the shards that are not there yet."""
        found = {number: self._find(number) for number in range(len(self._shards))}
        self._paths = {number: path for number, path in found.items() if path is not None}
        missing = [number for number, path in found.items() if path is None]
        done = len(self._original) - sum(len(self._shards[number]) for number in missing)
        self._check_room(len(self._original) - done)
        for number, path in zip(missing, over_workers(_Missing(self, missing), workers=workers), strict=True):
            self._paths[number] = path
            done += len(self._shards[number])
            if progress is not None:
                progress(done, len(self._original))

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"_maps": {}}  # a map would be sent to another process as a copy

    def image(self, position: int) -> Tensor:
        """Return one image."""
        return self.stack(np.array([position]))[0]

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Return the images at the positions."""
        found = np.empty((len(positions), self._channels, self._size, self._size), self._kind)
        shard, place = np.divmod(positions, len(self._shards[0]))
        for number in np.unique(shard).tolist():
            chosen = shard == number
            found[chosen] = self._pixels(number)[place[chosen]]
        return torch.from_numpy(found)

    def _pixels(self, number: int) -> Pixels:
        if number not in self._maps:
            path = self._paths.get(number) or self.make(number)
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            if path.stem != f"{number:05d}-{digest}":
                _LOG.warning("%s is damaged and is rebuilt", path)
                path.unlink()
                path = self._paths[number] = self.make(number)
            self._maps[number] = np.load(path, mmap_mode="r", allow_pickle=False)
        return self._maps[number]

    def _find(self, number: int) -> Path | None:
        return next(iter(sorted(self._folder.glob(f"{number:05d}-*.npy"))), None)

    def _check_room(self, images: int) -> None:
        needed = images * self._image_bytes
        if not needed:
            return
        place = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        free = shutil.disk_usage(place).free
        if free < needed:
            raise StoreError(
                f"too little space to pack the images below {place}",
                found=f"{free / 2**30:.1f} GiB free, {needed / 2**30:.1f} GiB needed",
                hint="set REPDIAG_CACHE to a larger disk, choose a smaller size, or read the files (data.pack=null)",
            )

    def make(self, number: int) -> Path:
        """Decode the images of one shard and write it."""
        rows, size = self._shards[number], self._size
        pixels = np.empty((len(rows), self._channels, size, size), self._kind)
        for place, row in enumerate(rows):
            image = resize_and_centre(self._original.image(row), resize=size, size=size, interpolation="bilinear")
            pixels[place] = image.numpy()
        buffer = io.BytesIO()
        np.save(buffer, pixels, allow_pickle=False)
        data = buffer.getbuffer()
        path = self._folder / f"{number:05d}-{hashlib.sha256(data).hexdigest()}.npy"
        return write_atomic(path, lambda stream: stream.write(data))


class _Missing(Dataset[Path]):
    """One shard an item; what a worker process hands over is where it wrote it."""

    def __init__(self, source: PackedSource, numbers: list[int]) -> None:
        self.source, self.numbers = source, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, item: int) -> Path:
        return self.source.make(self.numbers[item])
