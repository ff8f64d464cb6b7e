"""The sets that encoders are transferred to, in torchvision's layouts: where they lie, their parts, their measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from repdiag.core.errors import DataError
from repdiag.data.assembly import ImageFiles, assemble
from repdiag.data.file_source import Folder
from repdiag.data.image_folder import open_image_folder
from repdiag.data.image_split import ImageSplit
from repdiag.data.open_request import Opener, OpenRequest, missing
from repdiag.data.walk import FoundFile

Listed = tuple[Sequence[Any], Sequence[int]]
_MEAN = "mean per class"


@dataclass(frozen=True, kw_only=True)
class TransferSet:
    """One set: torchvision's class, its folder below the data folder, what is train and what is val, and sizes.

    `train` and `val` are the parts of torchvision's set that are put together; `listed` reads files and labels off an
    opened part. `measure` is what papers report, after Kornblith et al. 2019.
    """

    kind: str
    place: str
    train: tuple[Mapping[str, Any], ...]
    val: tuple[Mapping[str, Any], ...]
    listed: Callable[[Any], Listed]
    classes: int
    sizes: tuple[int, int] | None
    measure: str = "top-1"
    fetched: bool = True
    images: int | None = None
    """All images of a set without an official split: a fifth of each class, by hash, is val."""


def _images_and_labels(found: Any) -> Listed:
    files = getattr(found, "_image_files", None)
    return (found._images if files is None else files), found._labels


def _samples(found: Any) -> Listed:
    files, labels = zip(*found._samples, strict=True)
    return files, labels


def _parts(*names: str, **more: Any) -> tuple[Mapping[str, Any], ...]:
    return tuple({"split": name, **more} for name in names)


SETS: Mapping[str, TransferSet] = {
    "flowers102": TransferSet(
        kind="Flowers102", place="flowers-102/jpg", train=_parts("train", "val"), val=_parts("test"),
        listed=_images_and_labels, classes=102, sizes=(2040, 6149), measure=_MEAN,
    ),
    "pets": TransferSet(
        kind="OxfordIIITPet", place="oxford-iiit-pet/images", train=_parts("trainval"), val=_parts("test"),
        listed=_images_and_labels, classes=37, sizes=(3680, 3669), measure=_MEAN,
    ),
    "dtd": TransferSet(
        kind="DTD", place="dtd/dtd/images", train=_parts("train", "val"), val=_parts("test"),
        listed=_images_and_labels, classes=47, sizes=(3760, 1880),
    ),
    "aircraft": TransferSet(
        kind="FGVCAircraft", place="fgvc-aircraft-2013b/data/images", train=_parts("trainval"), val=_parts("test"),
        listed=_images_and_labels, classes=100, sizes=(6667, 3333), measure=_MEAN,
    ),
    "food101": TransferSet(
        kind="Food101", place="food-101/images", train=_parts("train"), val=_parts("test"),
        listed=_images_and_labels, classes=101, sizes=(75_750, 25_250),
    ),
    "cars": TransferSet(
        kind="StanfordCars", place="stanford_cars/cars_train", train=_parts("train"), val=_parts("test"),
        listed=_samples, classes=196, sizes=(8144, 8041), fetched=False,
    ),
    "gtsrb": TransferSet(
        kind="GTSRB", place="gtsrb/GTSRB", train=_parts("train"), val=_parts("test"),
        listed=_samples, classes=43, sizes=(26_640, 12_630),
    ),
    "sun397": TransferSet(
        kind="SUN397", place="SUN397", train=({},), val=({},),
        listed=_images_and_labels, classes=397, sizes=None, images=108_754,
    ),
}  # fmt: skip
EUROSAT = "eurosat/2750"


def opener_of(name: str) -> Opener:
    """Return what opens a set of `SETS`."""
    return partial(_open, name)


def _open(name: str, request: OpenRequest) -> ImageSplit:
    known = SETS[name]
    root = request.root / Path(known.place).parts[0]
    parts = [_torchvision(name, known, part, request) for part in getattr(known, request.split)]
    lists = [known.listed(part) for part in parts]
    files = [Path(file) for files, _ in lists for file in files]
    labels = np.asarray([int(label) for _, labels in lists for label in labels], dtype=np.int64)
    gone = [str(file) for file in files if not file.is_file()]
    if gone:
        raise DataError(
            f"{name} lacks {len(gone)} of {len(files)} images", found=", ".join(gone[:3]), hint="unpack it again"
        )
    order = sorted(range(len(files)), key=lambda place: files[place].as_posix())
    found = ImageFiles(
        name=name,
        split=request.split,
        archive=Folder(root),
        files=[_file(files[place], root) for place in order],
        labels=labels[order],
        class_names=tuple(map(str, getattr(parts[0], "classes", None) or range(known.classes))),
        drawn=known.images is not None,
    )
    return assemble(found, request.read_request())


def _torchvision(name: str, known: TransferSet, part: Mapping[str, Any], request: OpenRequest) -> Any:
    from torchvision import datasets

    fetch = {"download": request.download} if known.fetched else {}
    try:
        return getattr(datasets, known.kind)(root=request.root, **part, **fetch)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        how = "ask for the download, or " if known.fetched else "its files are no longer available online: "
        raise missing(
            name, request.root / known.place, how=f"{how}put torchvision's files there ({str(error)[:160]})"
        ) from error


def _file(path: Path, root: Path) -> FoundFile:
    found = path.stat()
    relative = path.relative_to(root).as_posix()
    return FoundFile(relative, size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns)


def open_eurosat(request: OpenRequest) -> ImageSplit:
    """Return EuroSAT's 27,000 RGB images of ten kinds of land; a fifth of each class, drawn by hash, is val."""
    folder = request.root / EUROSAT
    if request.download and not folder.is_dir():
        from torchvision.datasets import EuroSAT

        try:
            EuroSAT(root=request.root, download=True)
        except (RuntimeError, OSError) as error:
            raise missing("eurosat", folder, how=f"the download failed ({error}); unpack it there by hand") from error
    if not folder.is_dir():
        raise missing("eurosat", folder, how="ask for the download, or unpack EuroSAT.zip there")
    return open_image_folder(folder, request.split, name="eurosat", request=request.read_request())
