"""Image folders: one folder a class, below train/ and val/ (or test/), or flat and split by a seeded draw."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from repdiag.core.errors import DataError, StoreError
from repdiag.data.file_source import FileSource
from repdiag.data.image_split import Excluded, ImageSplit, first_of_each_class
from repdiag.data.packed import pack
from repdiag.data.scan import Checked, scan
from repdiag.data.walk import FoundFile, Walk, readable_name

_LOG = logging.getLogger(__name__)
_PART_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "test")}

VAL_SHARE = 0.2
"""Part of each class that a flat folder gives to val: at least one image, and never the only one."""
CHECK_AT_OPEN = 200_000
"""Folders of up to so many images are decoded in full when they are first opened."""
PACK_UP_TO = 128
"""Images that are all squares of one size, of up to so many pixels, are packed when they are first opened."""


@dataclass(frozen=True)
class _Row:
    found: FoundFile
    label: int
    checked: Checked | None

    @property
    def content(self) -> str:
        return self.checked.digest if self.checked is not None else f"{self.found.size} bytes"


def open_image_folder(
    root: Path,
    split: str,
    *,
    name: str | None = None,
    strict: bool = False,
    check: bool | None = None,
    skip: Collection[str] = (),
) -> ImageSplit:
    """Open a split of a folder of images; class names are the folders', row ids the paths below `root`.

    Files that cannot be decoded whole are left out, counted and named in `excluded`; `strict` makes them an error.
    They are found by decoding every file once (see scan.py), for up to `CHECK_AT_OPEN` images or as `check` says;
    without that check, an unreadable image is an error when its turn comes. `skip` names folders that are no classes.
    """
    root = root.expanduser()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder", hint="name a folder that holds one folder of images a class")
    walk = Walk(root)
    part, reference = _parts(walk, split)
    class_names = [folder for folder in _class_names(walk, part, reference) if folder not in skip]
    rows, excluded = _read_rows(walk, part, class_names, check=check)
    if strict and excluded:
        raise DataError(
            f"{len(excluded)} files of {root} cannot be used, and strict reading was asked for",
            found=f"{excluded[0].path}: {excluded[0].reason}",
            hint="mend or remove them, or read without strict to leave them out",
        )
    opened = ImageSplit(
        name=name or f"imagefolder:{root}",
        split=split,
        source=FileSource(root, [row.found.path for row in rows]),
        positions=np.arange(len(rows)),
        labels=np.array([row.label for row in rows], dtype=np.int64),
        row_ids=np.array([readable_name(row.found.path) for row in rows], dtype=np.str_),
        class_names=tuple(map(readable_name, class_names)),
        content=np.array([row.content for row in rows], dtype=np.str_),
        preset="moco_v2",
        excluded=excluded,
    )
    return _packed_if_small(opened if part else _drawn_part(opened, split), rows)


def _parts(walk: Walk, split: str) -> tuple[str, str]:
    """Return the folder of the split, and the one whose classes count; both are "" in a flat folder."""
    top = walk.folders("")
    found = {part: next((name for name in names if name in top), None) for part, names in _PART_FOLDERS.items()}
    if not any(found.values()):
        return "", ""
    folder = found[split]
    if folder is None:
        raise DataError(
            f"{walk.root} has no folder for {split}",
            found=", ".join(map(readable_name, top[:8])),
            hint=f"name it {' or '.join(_PART_FOLDERS[split])}",
        )
    return folder, found["train"] or folder


def _class_names(walk: Walk, part: str, reference: str) -> list[str]:
    # The top level of a flat folder has been listed, and its folders entered, so it is walked afresh.
    listed = {folder: Walk(walk.root).folders(folder) for folder in {part, reference}}
    if not listed[reference]:
        raise DataError(
            f"{walk.root / reference} has no class folders",
            hint="put the images of each class into a folder, or unlabelled ones into one of any name",
        )
    strange = sorted(set(listed[part]) - set(listed[reference]))
    if strange:
        raise DataError(
            f"{walk.root / part} has classes that {reference} lacks", found=", ".join(map(readable_name, strange[:8]))
        )
    if part:
        walk.folders(part)
    return listed[reference]


def _read_rows(
    walk: Walk, part: str, class_names: list[str], *, check: bool | None
) -> tuple[list[_Row], tuple[Excluded, ...]]:
    folders = {name: f"{part}/{name}" if part else name for name in class_names}
    here = [name for name in class_names if (walk.root / folders[name]).is_dir()]
    listed = walk.files([folders[name] for name in here])
    _refuse_empty(walk.root / part, [name for name, files in zip(here, listed, strict=True) if not files], "image")
    files = [found for one in listed for found in one]
    labels = [class_names.index(name) for name, one in zip(here, listed, strict=True) for _ in one]
    wanted = check if check is not None else len(files) <= CHECK_AT_OPEN
    checked: list[Checked | None] = [*scan(walk.root, files)] if wanted else [None] * len(files)
    rows = [_Row(*parts) for parts in zip(files, labels, checked, strict=True)]
    bad = [row for row in rows if row.checked is not None and row.checked.reason is not None]
    good = [row for row in rows if row.checked is None or row.checked.reason is None]
    left = {row.label for row in good}
    _refuse_empty(walk.root / part, [name for name in here if class_names.index(name) not in left], "readable image")
    unreadable = (Excluded(readable_name(row.found.path), str(row.checked and row.checked.reason)) for row in bad)
    return good, (*walk.excluded, *unreadable)


def _refuse_empty(folder: Path, names: list[str], what: str) -> None:
    if names:
        raise DataError(
            f"{len(names)} class folders of {folder} hold no {what}",
            found=", ".join(map(readable_name, names[:8])),
            hint="remove them, or put their images there",
        )


def _drawn_part(opened: ImageSplit, split: str) -> ImageSplit:
    """Return a flat folder's train or val: `VAL_SHARE` of each class, by hash of the row ids."""
    counts = np.bincount(opened.labels, minlength=len(opened.class_names))
    wanted = np.minimum(np.maximum(np.rint(counts * VAL_SHARE), 1), counts - 1).astype(np.int64)
    is_val = np.zeros(len(opened), dtype=bool)
    is_val[first_of_each_class(opened, wanted, purpose="flat folder", seed=0)] = True
    return opened.subset(is_val if split == "val" else ~is_val)


def _packed_if_small(opened: ImageSplit, rows: list[_Row]) -> ImageSplit:
    shapes = {(row.checked.height, row.checked.width) if row.checked is not None else (0, 1) for row in rows}
    height, width = shapes.pop() if len(shapes) == 1 else (0, 1)
    if height != width or height > PACK_UP_TO:
        return opened
    opened = replace(opened, preset="moco_v2_32" if height <= 64 else opened.preset)
    try:
        return pack(opened, height)
    except StoreError as error:
        _LOG.warning("the images are decoded anew each time: %s", error.found)
        return opened
