"""Datasets by name: `open_dataset(spec, split)`, `list_datasets()`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType

from repdiag.core.errors import UsageError, unknown_name
from repdiag.core.own_code import is_own_code
from repdiag.data.digits import open_digits
from repdiag.data.fixed_size_datasets import (
    FASHION_DEBIAN,
    open_cifar10,
    open_cifar100,
    open_fashion_mnist,
    open_stl10,
    open_svhn,
)
from repdiag.data.folder_datasets import CALTECH101, IMAGENET, open_caltech101, open_imagenet
from repdiag.data.folders import data_root
from repdiag.data.image_split import ImageSplit
from repdiag.data.open_request import Opener, OpenRequest
from repdiag.data.reading import READING_OPTIONS, parse_reading
from repdiag.data.sources.kinds import KINDS, PathRequest, named_as
from repdiag.data.sources.own_dataset import open_own_dataset
from repdiag.data.spec import Spec, parse_spec
from repdiag.data.transfer_datasets import EUROSAT, SETS, open_eurosat, opener_of

SPLITS = ("train", "val")
FOLDER = "imagefolder:"
ENTRY_POINTS = "repdiag.datasets"
_DOWNLOAD = "--download fetches it into {root}"
_GONE = "its files are no longer available online: put them into {root}"
_DRAWN = "; of {images:,} images a fifth of each class, by hash, is val"
_WITH_BOXES: Mapping[str, tuple[bool | None, str]] = {
    "composed": (True, "scenes for detection and segmentation, drawn on this machine"),
    "coco:PATH": (None, "for detection and segmentation: annotations/, train*/ and val*/"),
    "voc:PATH": (None, "for detection and segmentation: Annotations/, JPEGImages/, ImageSets/"),
}


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """One dataset that can be named, whether it is here, and how to get it."""

    name: str
    present: bool | None
    """None for a kind of data that is named by its path."""
    where: Path | None
    how_to_get: str
    classes: int | None = None
    train: int | None = None
    val: int | None = None
    measure: str | None = None
    """What papers report of it when an encoder is tried out on it."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    open: Opener
    places: tuple[str, ...]
    """Paths below the data folder, or absolute, one of which is there when the dataset is; none: it always is."""
    how_to_get: str
    classes: int
    train: int | None
    val: int | None
    measure: str = "top-1"


_KNOWN: Mapping[str, _Known] = MappingProxyType(
    {
        "digits": _Known(
            open=open_digits, places=(), how_to_get="comes with scikit-learn", classes=10, train=1437, val=360
        ),
        "cifar10": _Known(
            open=open_cifar10,
            places=("cifar-10-batches-py",),
            how_to_get=_DOWNLOAD,
            classes=10,
            train=50_000,
            val=10_000,
        ),
        "cifar100": _Known(
            open=open_cifar100,
            places=("cifar-100-python",),
            how_to_get=_DOWNLOAD,
            classes=100,
            train=50_000,
            val=10_000,
        ),
        "stl10": _Known(
            open=open_stl10, places=("stl10_binary",), how_to_get=_DOWNLOAD, classes=10, train=5_000, val=8_000
        ),
        "fashion_mnist": _Known(
            open=open_fashion_mnist,
            places=("FashionMNIST/raw", str(FASHION_DEBIAN)),
            how_to_get=_DOWNLOAD + ", or install Debian's dataset-fashion-mnist",
            classes=10,
            train=60_000,
            val=10_000,
        ),
        "imagenet": _Known(
            open=open_imagenet,
            places=(IMAGENET,),
            how_to_get="unpack train/ and val/, one folder per class, into {root}/" + IMAGENET,
            classes=1000,
            train=1_281_167,
            val=50_000,
        ),
        "caltech101": _Known(
            open=open_caltech101,
            places=(CALTECH101,),
            how_to_get=_DOWNLOAD + _DRAWN.format(images=8677),
            classes=101,
            train=None,
            val=None,
            measure="mean per class",
        ),
        "svhn": _Known(
            open=open_svhn, places=("train_32x32.mat",), how_to_get=_DOWNLOAD, classes=10, train=73_257, val=26_032
        ),
        "eurosat": _Known(
            open=open_eurosat,
            places=(EUROSAT,),
            how_to_get=_DOWNLOAD + _DRAWN.format(images=27_000),
            classes=10,
            train=21_600,
            val=5_400,
        ),
        **{
            name: _Known(
                open=opener_of(name),
                places=(known.place,),
                how_to_get=(_DOWNLOAD if known.fetched else _GONE)
                + (_DRAWN.format(images=known.images) if known.images else ""),
                classes=known.classes,
                train=known.sizes[0] if known.sizes else None,
                val=known.sizes[1] if known.sizes else None,
                measure=known.measure,
            )
            for name, known in SETS.items()
        },
    }
)


def open_dataset(
    spec: str,
    split: str,
    *,
    root: str | Path | None = None,
    download: bool = False,
    strict: bool = False,
    check: bool | None = None,
    check_content: bool = False,
) -> ImageSplit:
    """Open a split ("train" or "val") of a dataset: a name of `list_datasets`, KIND:PATH, or FILE.py:FUNCTION.

    Options follow a path, such as `csv:list.csv,label=species` or `imagefolder:PATH,levels=0..4095`.

    Named datasets lie below `root` (default `$REPDIAG_DATA`, or ~/.cache/repdiag/data) and are downloaded only with
    `download`. `strict` makes unreadable images an error. `check` decides whether all images are decoded at once to
    find them (default: up to 200,000 images). Files with unchanged size and times count as unchanged; with
    `check_content` each is read again.

    Example:
        >>> import repdiag
        >>> images = repdiag.open_dataset("digits", "val")
        >>> len(images), len(images.class_names)
        (360, 10)
    """
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    place = data_root(None if root is None else Path(root))
    parsed = parse_spec(spec, tuple(KINDS))
    reading = parse_reading(parsed.options)
    request = OpenRequest(
        split=split,
        root=place,
        download=download,
        strict=strict,
        check=check,
        check_content=check_content,
        reading=reading,
    )
    if parsed.kind:
        return KINDS[parsed.kind].open(PathRequest(parsed, spec, split, request.read_request()))
    if is_own_code(parsed.path) and parsed.path not in _KNOWN:
        _refuse_options(parsed, READING_OPTIONS)
        return open_own_dataset(parsed.path, split, reading)
    _refuse_options(parsed, READING_OPTIONS if parsed.path in ("imagenet", "caltech101") else ())
    return _opener(parsed.path)(request)


def _refuse_options(parsed: Spec, taken: tuple[str, ...]) -> None:
    """Refuse options that would change nothing."""
    left = [name for name in parsed.options if name not in taken]
    if left:
        raise UsageError(f"{parsed.path} takes no option {left[0]}", hint=f"it takes {', '.join(taken) or 'none'}")


def list_datasets(root: str | Path | None = None) -> tuple[DatasetInfo, ...]:
    """Return what can be named, whether it is here, and how to get it."""
    place = data_root(None if root is None else Path(root))
    known = tuple(_info(name, dataset, place) for name, dataset in _KNOWN.items())
    kinds = tuple(
        DatasetInfo(name=f"{name}:PATH", present=None, where=None, how_to_get=kind.what) for name, kind in KINDS.items()
    )
    own = DatasetInfo(
        name="FILE.py:FUNCTION", present=None, where=None, how_to_get="a torch Dataset that your function returns"
    )
    others = tuple(
        DatasetInfo(name=point.name, present=True, where=None, how_to_get=f"from {point.value}")
        for point in entry_points(group=ENTRY_POINTS)
    )
    boxes = tuple(
        DatasetInfo(name=name, present=present, where=None, how_to_get=how, measure="AP")
        for name, (present, how) in _WITH_BOXES.items()
    )
    return (*known, *kinds, own, *boxes, *others)


def _opener(name: str) -> Opener:
    if name in _KNOWN:
        return _KNOWN[name].open
    others = {point.name: point for point in entry_points(group=ENTRY_POINTS)}
    if name in others:
        opener: Opener = others[name].load()
        return opener
    here = named_as(name) or f"folders of images are {FOLDER}PATH"
    raise unknown_name("dataset", name, {*_KNOWN, *others}, hint=here)


def _info(name: str, known: _Known, root: Path) -> DatasetInfo:
    where = next((root / place for place in known.places if (root / place).exists()), None)
    return DatasetInfo(
        name=name,
        present=where is not None or not known.places,
        where=where,
        how_to_get=known.how_to_get.format(root=root),
        classes=known.classes,
        train=known.train,
        val=known.val,
        measure=known.measure,
    )
