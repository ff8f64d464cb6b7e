"""The images that the planted encoders learn from: Fashion-MNIST, CIFAR-10's test JPEGs, scikit-learn's digits."""

from __future__ import annotations

import functools
import gzip
import os
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FASHION = Path(os.environ.get("REPDIAG_FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))
CIFAR = os.environ.get("REPDIAG_CIFAR10_IMAGES", "")
CIFAR_TRAIN = 6000  # of the 10,000 images: the others are never trained on

Levels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Images:
    """uint8 images [N, 3, S, S] and their classes; `groups` numbers what was painted onto an image, 0 for nothing."""

    pixels: Tensor
    labels: Tensor
    row_ids: Tensor
    groups: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, rows: Tensor) -> Images:
        """Return the images of the given rows."""
        return Images(
            pixels=self.pixels[rows], labels=self.labels[rows], row_ids=self.row_ids[rows], groups=self.groups[rows]
        )


@dataclass(frozen=True, kw_only=True)
class Source:
    """Images to learn from and images to judge on, and the mean and standard deviation of those to learn from."""

    name: str
    train: Images
    val: Images
    mean: tuple[float, ...]
    std: tuple[float, ...]


@functools.lru_cache(maxsize=3)
def source(name: str, *, lot: int = 0) -> Source:
    """Return "fashion", "cifar" or "digits"; the last two have no train set, and every lot parts them anew."""
    train, val = _fashion() if name == "fashion" else {"cifar": _cifar, "digits": _digits}[name](lot)
    unit = train.pixels.float() / 255.0
    mean, std = unit.mean((0, 2, 3)), unit.std((0, 2, 3))
    return Source(name=name, train=train, val=val, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def marked(images: Images, count: int, *, seed: int) -> Images:
    """Return the images with a square of one of `count` colours painted into a corner; `groups` says which.

    The square says nothing about the class, so that who learns (class, colour) cuts every class into `count` islands.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = torch.randint(count, (len(images),), generator=generator)
    colours = torch.tensor([[255 * (mark >> bit & 1) for bit in range(3)] for mark in range(8)], dtype=torch.uint8)
    pixels = images.pixels.clone()
    side = pixels.shape[-1] // 4
    pixels[:, :, :side, :side] = colours[groups][:, :, None, None]
    return replace(images, pixels=pixels, groups=groups)


def _fashion() -> tuple[Images, Images]:
    train, val = (
        _images(np.repeat(_idx(f"{stem}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28), 3, axis=1), labels)
        for stem, labels in ((stem, _idx(f"{stem}-labels-idx1-ubyte.gz", 8)) for stem in ("train", "t10k"))
    )
    return train, val


def _idx(name: str, header: int) -> Levels:
    path = FASHION / name
    if not path.is_file():
        raise SystemExit(f"{path} is missing: install Debian's dataset-fashion-mnist or set REPDIAG_FASHION_MNIST")
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def _cifar(lot: int) -> tuple[Images, Images]:
    if not Path(CIFAR).is_file():
        raise SystemExit("set REPDIAG_CIFAR10_IMAGES to a .tar.gz of CIFAR-10's images, a folder for each class")
    from PIL import Image

    found: list[tuple[str, Levels]] = []
    with tarfile.open(CIFAR) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".jpg"):
                stream = archive.extractfile(member)
                assert stream is not None
                found.append((member.name, np.asarray(Image.open(stream).convert("RGB")).transpose(2, 0, 1)))
    found.sort(key=lambda item: item[0])
    classes = [Path(name).parent.name for name, _ in found]
    images = _images(np.stack([pixels for _, pixels in found]), np.unique(classes, return_inverse=True)[1])
    return _split(images, CIFAR_TRAIN, lot)


def _digits(lot: int) -> tuple[Images, Images]:
    from sklearn.datasets import load_digits

    data: Any = load_digits()
    levels = np.clip(data.images * 16, 0, 255).astype(np.uint8)[:, None]
    return _split(_images(levels.repeat(3, axis=1).repeat(2, axis=2).repeat(2, axis=3), data.target), 1000, lot)


def _images(pixels: Levels, labels: NDArray[Any]) -> Images:
    rows = torch.arange(len(labels))
    numbers = torch.as_tensor(labels.astype(np.int64))
    return Images(
        pixels=torch.from_numpy(pixels.copy()), labels=numbers, row_ids=rows, groups=torch.zeros_like(numbers)
    )


def _split(images: Images, train: int, lot: int) -> tuple[Images, Images]:
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(lot))
    return images.select(order[:train].sort().values), images.select(order[train:].sort().values)
