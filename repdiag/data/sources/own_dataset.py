"""`FILE.py:FUNCTION`: a torch `Dataset` of the user's own, called on request; images as it returns them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.core.own_code import call_with_split
from repdiag.data.image_split import ImageSplit
from repdiag.data.many_channels import with_statistics
from repdiag.data.rasters.levels import Decoded, UnreadableImage, to_pixels
from repdiag.data.reading import PLAIN, Reading
from repdiag.data.reading_notes import ReadingNote, counted_notes, dark_note
from repdiag.data.sources.listing import natural
from repdiag.data.splits import drawn_part, part_of

_IMAGE_KEYS = ("image", "img", "pixel_values", "images", "x", "input", "jpg", "png")
_LABEL_KEYS = ("label", "labels", "target", "class", "y", "cls", "fine_label")


def open_own_dataset(name: str, split: str, reading: Reading = PLAIN) -> ImageSplit:
    """Open what a function returns: a `Dataset` of the split it is asked for, or of everything, or one by part.

    The function takes the split ("train" or "val") or nothing. An item is an image, a tuple that starts with image and
    label, or a mapping with both. Images are PIL's, uint8 [H, W], [H, W, C] or [C, H, W], or floats in [0, 1]; every
    item is read once when the data are opened, so that a changed pixel changes the fingerprint.
    """
    made, whole = _called(name, split)
    if not hasattr(made, "__len__") or not hasattr(made, "__getitem__"):
        raise DataError(
            f"{name} must return a dataset with a length and items",
            found=type(made).__name__,
            hint="give a torch Dataset or a list; write a stream to files first, such as wds:PATH",
        )
    source = OwnDataset(made, name=name, split=split, reading=reading)
    labels, content, said = source.read_all()
    classes, numbers = _classes(made, labels)
    notes = [ReadingNote(what=f"images are what {name} returns; every item was read to know its pixels")]
    row_ids = [f"{'all' if whole else split}/{row:06d}" for row in range(len(labels))]
    notes += [*counted_notes(row_ids, said.notes), *dark_note(said.highest)]
    if whole:
        notes.append(ReadingNote(what="val is drawn by hash, a fifth of each class: the function takes no split"))
    opened = ImageSplit(
        name=name,
        split=split,
        source=source,
        positions=np.arange(len(labels)),
        labels=numbers,
        row_ids=np.array(row_ids, dtype=np.str_),
        class_names=classes,
        content=np.array(content, dtype=np.str_),
        preset="moco_v2",
        notes=tuple(notes),
        channels=said.channels,
    )
    if said.channels != 3:
        # Both splits are normalised alike: by what there is to train on.
        trained = None if whole or split == "train" else open_own_dataset(name, "train", reading)
        opened = with_statistics(opened, trained)
    return drawn_part(opened, split) if whole else opened


def _called(name: str, split: str) -> tuple[Any, bool]:
    """Return what the function returns for the split, and whether that is the whole data."""
    result, took_split = call_with_split(name, split, kind="dataset")
    if isinstance(result, Mapping):
        parts = {part_of(str(key)): value for key, value in result.items()}
        chosen = parts.get(split) or (parts.get("test") if split == "val" else None)
        if chosen is None:
            raise DataError(f"{name} has no part for {split}", found=", ".join(map(str, result)))
        return chosen, False
    return result, not took_split


@dataclass(frozen=True)
class _Said:
    """The channels of all images, the notes of each, and the highest levels of those of 16 bits."""

    channels: int
    notes: list[tuple[str, ...]]
    highest: list[float]


class OwnDataset:
    """The images of a dataset by its item numbers."""

    native_size: int | None = None

    def __init__(self, dataset: Any, *, name: str, split: str, reading: Reading) -> None:
        self.dataset, self.name, self.split, self.reading = dataset, name, split, reading

    def image(self, position: int) -> Tensor:
        """Return one image; an error names the item."""
        return self._item(position)[0].pixels

    def stack(self, positions: NDArray[np.int64]) -> Tensor:
        """Refuse: images that may differ in size do not stack."""
        raise DataError(f"the {len(positions)} images may differ in size", hint="read them one by one with .image(row)")

    def read_all(self) -> tuple[list[Any], list[str], _Said]:
        """Return every item's label and the hash of its pixels, and what was done to have them."""
        labels, content, channels = [], [], set()
        notes: list[tuple[str, ...]] = []
        highest: list[float] = []
        for position in range(len(self.dataset)):
            found, label = self._item(position)
            labels.append(label)
            content.append(_digest(found.pixels))
            channels.add(int(found.pixels.shape[0]))
            notes.append(found.notes)
            if found.levels is not None and "16-bit" in found.notes:
                highest.append(found.levels[1])
        if not labels:
            raise DataError(f"{self.name} has no items for {self.split}")
        if len(channels) > 1:
            several = ", ".join(map(str, sorted(channels)))
            raise DataError(f"the images of {self.name} do not have one number of channels", found=several)
        if _digest(self.image(0)) != content[0]:
            raise DataError(
                f"{self.name} returns different pixels on each call",
                hint="return the images without random transforms: views are drawn here, by seed",
            )
        return labels, content, _Said(channels.pop(), notes, highest)

    def _item(self, position: int) -> tuple[Decoded, Any]:
        try:
            item = self.dataset[position]
        except Exception as error:  # whatever the user's code raises
            found = f"{type(error).__name__}: {error}"
            raise DataError(f"item {position} of {self.name} cannot be had", found=found) from error
        image, label = _parts_of(item)
        try:
            return _pixels(image, self.reading), label
        except UnreadableImage as error:
            raise DataError(f"item {position} of {self.name} is not a readable image", found=str(error)) from error


def _parts_of(item: Any) -> tuple[Any, Any]:
    if isinstance(item, Mapping):
        image = next((item[key] for key in _IMAGE_KEYS if key in item), None)
        return image, next((item[key] for key in _LABEL_KEYS if key in item), None)
    if isinstance(item, tuple | list):
        return item[0], item[1] if len(item) > 1 else None
    return item, None


def _pixels(image: Any, reading: Reading) -> Decoded:
    if hasattr(image, "convert") and hasattr(image, "getbands"):
        array = np.asarray(image if image.mode in ("L", "RGB", "I;16", "I", "F") else image.convert("RGB"))
    elif isinstance(image, Tensor):
        array = image.detach().cpu().numpy()
    elif isinstance(image, np.ndarray):
        array = image
    else:
        raise UnreadableImage(f"{type(image).__name__} is none of a PIL image, an array, a tensor")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        raise UnreadableImage(f"an array of shape {array.shape}")
    # Channels come first in torch and last elsewhere; images are higher and wider than they have channels.
    if array.shape[2] < array.shape[0] and array.shape[2] < array.shape[1]:
        array = np.moveaxis(array, 2, 0)
    colours = 3 if len(array) in (3, 4) else 1 if len(array) <= 2 else 0
    if array.dtype.kind != "f" or reading.levels is not None:
        return to_pixels(array, reading, colours=colours)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0.0 and high <= 1.0):
        raise UnreadableImage(f"floats from {low:.3g} to {high:.3g}: return them in [0, 1], before normalisation")
    found = to_pixels(array, replace(reading, levels=(0.0, 1.0)), colours=colours)
    return replace(found, notes=(*(note for note in found.notes if note != "scaled"), "unit-floats"))


def _classes(dataset: Any, labels: list[Any]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Return the names of the classes and each item's number; a dataset's own `classes` name its numbers."""
    plain = [_plain(label) for label in labels]
    names = getattr(dataset, "classes", None) or getattr(dataset, "class_names", None)
    if isinstance(names, list | tuple) and all(isinstance(one, int) and one < len(names) for one in plain):
        return tuple(map(str, names)), np.maximum(np.array(plain, dtype=np.int64), -1)
    texts = ["" if one is None or one in (-1, "") else str(one) for one in plain]
    found = tuple(sorted(set(texts) - {""}, key=natural))
    numbers = {text: number for number, text in enumerate(found)} | {"": -1}
    return found, np.array([numbers[text] for text in texts], dtype=np.int64)


def _plain(label: Any) -> int | str | None:
    if label is None or isinstance(label, int | str):
        return label
    if isinstance(label, Tensor | np.ndarray | np.generic) and np.size(np.asarray(label)) == 1:
        value = np.asarray(label).reshape(()).item()
        return value if isinstance(value, str) else int(value) if float(value).is_integer() else str(value)
    raise DataError("labels of the dataset must be one number or text per image", found=type(label).__name__)


def _digest(pixels: Tensor) -> str:
    return hashlib.blake2b(pixels.contiguous().numpy().tobytes(), digest_size=16).hexdigest()
