"""CIFAR-10, CIFAR-100, STL-10, SVHN and Fashion-MNIST: images of one size that fit into memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from repdiag.core.errors import DataError
from repdiag.data.image_split import ArraySource, ImageSplit
from repdiag.data.open_request import OpenRequest, missing

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FASHION_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""
_IDX_UBYTE = 0x08


def open_cifar10(request: OpenRequest) -> ImageSplit:
    """Return CIFAR-10: 50,000 images to train on, 10,000 to validate on, 32 px."""
    from torchvision.datasets import CIFAR10

    found = _torchvision(CIFAR10, "cifar10", request, train=request.split == "train")
    return _from_arrays("cifar10", request.split, found.data, found.targets, class_names=found.classes)


def open_cifar100(request: OpenRequest) -> ImageSplit:
    """Return CIFAR-100: 50,000 images to train on, 10,000 to validate on, 32 px."""
    from torchvision.datasets import CIFAR100

    found = _torchvision(CIFAR100, "cifar100", request, train=request.split == "train")
    return _from_arrays("cifar100", request.split, found.data, found.targets, class_names=found.classes)


def open_stl10(request: OpenRequest) -> ImageSplit:
    """Return STL-10's labelled images: 5,000 to train on, 8,000 (its test part) to validate on, 96 px."""
    from torchvision.datasets import STL10

    found = _torchvision(STL10, "stl10", request, split="train" if request.split == "train" else "test")
    return _from_arrays(
        "stl10", request.split, found.data.transpose(0, 2, 3, 1), found.labels, class_names=found.classes
    )


def open_svhn(request: OpenRequest) -> ImageSplit:
    """Return SVHN's cropped house numbers: 73,257 to train on, 26,032 (its test part) to validate on, 32 px."""
    from torchvision.datasets import SVHN

    found = _torchvision(SVHN, "svhn", request, split="train" if request.split == "train" else "test")
    digits = [str(digit) for digit in range(10)]
    return _from_arrays("svhn", request.split, found.data.transpose(0, 2, 3, 1), found.labels, class_names=digits)


def open_fashion_mnist(request: OpenRequest) -> ImageSplit:
    """Return Fashion-MNIST: 60,000 images to train on, 10,000 (its test part) to validate on, 28 px gray."""
    raw = request.root / "FashionMNIST" / "raw"
    stem = "train" if request.split == "train" else "t10k"
    names = (f"{stem}-images-idx3-ubyte", f"{stem}-labels-idx1-ubyte")
    if request.download and _idx_file(names[0], (raw, FASHION_DEBIAN)) is None:
        from torchvision.datasets import FashionMNIST

        _torchvision(FashionMNIST, "fashion_mnist", request)
    files = [_idx_file(name, (raw, FASHION_DEBIAN)) for name in names]
    if files[0] is None or files[1] is None:
        raise missing("fashion_mnist", raw, how="install Debian's dataset-fashion-mnist, or ask for the download")
    gray, labels = _read_idx(files[0]), _read_idx(files[1])
    colour = np.repeat(gray[..., None], 3, axis=3)
    return _from_arrays("fashion_mnist", request.split, colour, labels, class_names=FASHION_CLASSES)


def _torchvision(kind: Callable[..., Any], name: str, request: OpenRequest, **options: Any) -> Any:
    """Open one of torchvision's datasets, which checks the files' MD5 sums."""
    try:
        return kind(root=request.root, download=request.download, **options)
    except (RuntimeError, OSError) as error:
        how = f"ask for the download, or put torchvision's files there; REPDIAG_DATA or root name the folder ({error})"
        raise missing(name, request.root, how=how) from error


def _from_arrays(
    name: str, split: str, pixels: NDArray[np.uint8], labels: Any, *, class_names: Sequence[str]
) -> ImageSplit:
    """Return the split of RGB images [N, H, W, 3]."""
    count = len(pixels)
    side = pixels.shape[1]
    return ImageSplit(
        name=name,
        split=split,
        source=ArraySource(torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))),
        positions=np.arange(count),
        labels=np.asarray(labels, dtype=np.int64),
        row_ids=np.array([f"{split}/{row:06d}" for row in range(count)]),
        class_names=tuple(class_names),
        content=np.array([hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() for image in pixels]),
        preset="moco_v2_32" if side <= 64 else "moco_v2",
    )


def _idx_file(name: str, folders: Sequence[Path]) -> Path | None:
    places = (folder / (name + suffix) for folder in folders for suffix in ("", ".gz"))
    return next((place for place in places if place.is_file()), None)


def _read_idx(path: Path) -> NDArray[np.uint8]:
    """Read an IDX file: two zero bytes, a type, the number of axes, their lengths, the values."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        axes = data[3]
        shape = np.frombuffer(data, ">u4", count=axes, offset=4).astype(int)
        if data[:3] != bytes((0, 0, _IDX_UBYTE)):
            raise ValueError("its first bytes are not those of unsigned bytes in IDX format")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise DataError(f"{path} is damaged", found=str(error), hint="fetch it again") from error
