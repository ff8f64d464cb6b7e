"""Images as a notebook has them: a tensor, an array, paths, PIL images, a torch dataset; one split of them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.data.datasets import FOLDER, open_dataset
from repdiag.data.decode import UnreadableImage, decode
from repdiag.data.extensions import EXTENSIONS
from repdiag.data.image_split import ImageSplit

PRESET = "moco_v2"  # the views of a set that names none of its own
_NO_CLASS = "unlabelled"


@dataclass(frozen=True)
class GivenImages:
    """A split of images that somebody gave, and whether labels came with them."""

    split: ImageSplit
    labelled: bool


def as_image_split(images: Any, *, split: str = "val") -> GivenImages:
    """Return the images as one split.

    Takes an `ImageSplit`; a dataset's name or `imagefolder:PATH`; a folder of class folders, or of images; paths of
    image files; PIL images; a tensor or array [N, 3, H, W] or [N, H, W, 3], uint8 or floating point in [0, 1]; any
    torch `Dataset` or iterable of such images, alone or as (image, class number). Images of a list are read when
    needed, an iterable is read once. Raises `DataError` for what is neither.
    """
    if isinstance(images, ImageSplit):
        return GivenImages(images, labelled=True)
    if isinstance(images, str | Path):
        return _named(images, split)
    if isinstance(images, Tensor | np.ndarray):
        return _split_of([_pixels(one) for one in _batch(images)], labels=None)
    items = list(_items(images))
    if not items:
        raise DataError("there are no images", found=f"an empty {type(images).__name__}")
    pairs = [item if _is_labelled(item) else (item, None) for item in items]
    labels = [label for _, label in pairs]
    if any(label is None for label in labels) and any(label is not None for label in labels):
        raise DataError("some images have a label and some have none", found=f"{len(pairs)} images")
    found = [image if isinstance(image, str | Path) else _pixels(image) for image, _ in pairs]
    known = [int(label) for label in labels if label is not None]
    return _split_of(found, labels=known or None)


class _Given:
    """Images of a list: pixels, or files that are decoded when they are asked for."""

    def __init__(self, items: list[Tensor | str | Path]) -> None:
        self.items = items
        sizes = {tuple(item.shape[-2:]) for item in items if isinstance(item, Tensor)}
        alike = len(sizes) == 1 and all(isinstance(item, Tensor) for item in items)
        height, width = next(iter(sizes)) if alike else (0, 1)
        self.native_size: int | None = height if height == width else None

    def image(self, position: int) -> Tensor:
        """Return one image, uint8 [3, H, W]."""
        item = self.items[position]
        return item if isinstance(item, Tensor) else _decoded(Path(item))

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Return images of one size, uint8 [B, 3, S, S]."""
        return torch.stack([self.image(int(position)) for position in positions])


def _named(source: str | Path, split: str) -> GivenImages:
    path = Path(source)
    if not path.is_dir():
        return GivenImages(open_dataset(str(source), split), labelled=True)
    inside = sorted(item for item in path.iterdir() if item.suffix.lower() in EXTENSIONS)
    if inside:
        return _split_of(list(inside), labels=None)
    return GivenImages(open_dataset(f"{FOLDER}{path}", split), labelled=True)


def _items(images: Any) -> Iterable[Any]:
    if hasattr(images, "__getitem__") and hasattr(images, "__len__"):
        return (images[number] for number in range(len(images)))
    if isinstance(images, Iterable):
        return images
    hint = "a tensor [N, 3, H, W], paths, PIL images, a folder, a dataset's name or a torch Dataset"
    raise DataError("these are not images", found=type(images).__name__, hint=hint)


def _is_labelled(item: Any) -> bool:
    return isinstance(item, tuple | list) and len(item) == 2 and not isinstance(item[1], str | Path | Image.Image)


def _batch(images: Any) -> Tensor:
    batch = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    if batch.ndim != 4:
        found = f"shape {tuple(batch.shape)}"
        raise DataError("a batch of images has four axes: [N, 3, H, W] or [N, H, W, 3]", found=found)
    return batch


def _pixels(image: Any) -> Tensor:
    """Return one image as uint8 [3, H, W]."""
    if isinstance(image, Image.Image):
        stored = io.BytesIO()
        image.save(stored, "TIFF")  # without loss, and in every mode; what a mode means is known in one place
        return decode(stored.getvalue())
    pixels = image if isinstance(image, Tensor) else torch.from_numpy(np.ascontiguousarray(image))
    if pixels.ndim == 3 and pixels.shape[0] != 3 and pixels.shape[-1] == 3:
        pixels = pixels.permute(2, 0, 1)
    if pixels.ndim != 3 or pixels.shape[0] != 3:
        raise DataError("an image must be [3, H, W] or [H, W, 3]", found=f"shape {tuple(pixels.shape)}")
    if pixels.dtype == torch.uint8:
        return pixels.contiguous()
    low, high = (float(value) for value in torch.aminmax(pixels.float()))
    if not pixels.is_floating_point() or low < 0.0 or high > 1.0:
        raise DataError(
            "pixels must be uint8, or floating point in [0, 1]",
            found=f"{pixels.dtype} from {low:.3g} to {high:.3g}",
            hint="give images before normalisation: repdiag applies the encoder's own mean and std",
        )
    return (pixels * 255.0).round().to(torch.uint8).contiguous()


def _decoded(path: Path) -> Tensor:
    try:
        return decode(path.read_bytes())
    except (OSError, UnreadableImage) as error:
        raise DataError(f"cannot read {path}", found=str(error)) from error


def _split_of(items: list[Tensor | str | Path] | list[Tensor] | list[Path], *, labels: list[int] | None) -> GivenImages:
    count = len(items)
    names = [str(item) if isinstance(item, str | Path) else str(at) for at, item in enumerate(items)]
    numbers = np.zeros(count, dtype=np.int64) if labels is None else np.asarray(labels, dtype=np.int64)
    if count and numbers.min() < 0:
        raise DataError("labels must be class numbers from 0", found=f"{numbers.min()}")
    classes = (_NO_CLASS,) if labels is None else tuple(str(label) for label in range(int(numbers.max()) + 1))
    return GivenImages(
        ImageSplit(
            name="images given",
            split="val",
            source=_Given(list(items)),
            positions=np.arange(count),
            labels=numbers,
            row_ids=np.asarray(names),
            class_names=classes,
            content=np.asarray([_digest(item) for item in items]),
            preset=PRESET,
        ),
        labelled=labels is not None,
    )


def _digest(item: Tensor | str | Path) -> str:
    if isinstance(item, Tensor):
        return hashlib.sha256(item.numpy().tobytes() + str(tuple(item.shape)).encode()).hexdigest()
    try:
        return hashlib.sha256(Path(item).read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"cannot read {item}", found=error.strerror or str(error)) from error
