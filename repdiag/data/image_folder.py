"""Image folders: one folder per class, below the parts of the usual names, or flat and split by a seeded draw."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repdiag.core.errors import DataError
from repdiag.data.assembly import ImageFiles, ReadRequest, assemble
from repdiag.data.file_source import Folder
from repdiag.data.folder_layout import Layout, find_layout, holds_images
from repdiag.data.image_split import ImageSplit
from repdiag.data.many_channels import with_statistics
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.spec import METADATA
from repdiag.data.splits import chosen_part
from repdiag.data.walk import FoundFile, Walk, readable_name


def open_image_folder(
    root: Path,
    split: str,
    *,
    name: str | None = None,
    strict: bool = False,
    check: bool | None = None,
    skip: Collection[str] = (),
    request: ReadRequest | None = None,
) -> ImageSplit:
    """Open a split of a folder of images; class names are the folders', row ids the paths below `root`.

    Files that cannot be decoded whole are left out, counted and named in `excluded`; `strict` makes them an error.
    They are found by decoding every file once (see scan.py), for up to `CHECK_AT_OPEN` images or as `check` says;
    without that check, an unreadable image is an error when its turn comes. `skip` names folders that are no classes.
    A folder of images without class folders is a set without labels.
    """
    root = root.expanduser()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder", hint="give a folder with one folder of images per class")
    layout = find_layout(root)
    asked = request or ReadRequest(strict=strict, check=check)
    found = _Opened(layout, name or f"imagefolder:{root}", frozenset(skip))
    opened = assemble(found.files(split), asked)
    if opened.channels != 3 and split == "val" and len(layout.parts) > 1 and "train" in layout.parts:
        # Both splits are normalised alike: by what there is to train on.
        opened = with_statistics(opened, assemble(found.files("train"), asked))
    return opened


@dataclass(frozen=True)
class _Opened:
    layout: Layout
    name: str
    skip: frozenset[str]

    def files(self, split: str) -> ImageFiles:
        """Return the files of a split with their labels, and what was passed over."""
        part, drawn = self._part(split)
        walk = Walk(self.layout.root)
        above = part.split("/") if part else []
        for depth in range(len(above)):
            walk.folders("/".join(above[:depth]))  # what lies beside the part is no place for links to lead to
        listed = walk.folders(part)
        classes = self._classes()
        self._refuse_unlabelled(part, classes)
        notes = list(self.layout.notes)
        if drawn and part:
            notes.append(ReadingNote(what=f"val is drawn from {part}, the only part: a fifth of each class, by hash"))
        notes += _junk([name for name in listed if name not in classes and name not in self.skip], part)
        if not classes:
            files = walk.loose_files(part)
            labels = [-1] * len(files)
        else:
            here = [name for name in classes if name in listed and holds_images(self.layout.root / part / name)]
            files, labels, more = _of_classes(walk, part, here, classes)
            notes += more
        if not files and not walk.excluded:
            for name in listed:
                walk.files([f"{part}/{name}" if part else name])  # what is there instead
            instead = [*map(readable_name, listed[:8]), *map(str, _passed_over(walk))]
            raise DataError(
                f"{self.layout.root / part} has no class folders with images, and no images",
                found=", ".join(instead) or None,
                hint="give a folder with one folder of images per class, or images without labels",
            )
        notes += self._about_classes(part, classes) + _passed_over(walk) + _unread_tables(self.layout.root, classes)
        return ImageFiles(
            name=self.name,
            split=split,
            archive=Folder(self.layout.root),
            files=files,
            labels=np.array(labels, dtype=np.int64),
            class_names=tuple(map(readable_name, classes)),
            excluded=tuple(walk.excluded),
            notes=tuple(notes),
            drawn=drawn,
        )

    def _part(self, split: str) -> tuple[str, bool]:
        if not self.layout.parts:
            return "", True
        parts = self._labelled_parts()
        return chosen_part(parts, split, str(self.layout.root))

    def _refuse_unlabelled(self, part: str, classes: list[str]) -> None:
        if not part or not classes or self._class_folders(part):
            return
        raise DataError(
            f"{self.layout.root / part} has no class folders, but the other split has",
            found=f"classes such as {', '.join(map(readable_name, classes[:3]))}",
            hint="put its images into class folders, or give a table of paths and labels: csv:PATH",
        )

    def _labelled_parts(self) -> dict[str, str]:
        """Return the parts without a test part that has no classes beside a train part that has."""
        parts = self.layout.parts
        if "train" not in parts or "val" in parts or not self._class_folders(parts["train"]):
            return parts
        return {part: name for part, name in parts.items() if part == "train" or self._class_folders(name)}

    def _classes(self) -> list[str]:
        """Return the class folders of all parts that are read; the same for every split."""
        parts = self._labelled_parts().values() or ("",)
        found: set[str] = set()
        for part in parts:
            found.update(self._class_folders(part))
        return sorted(found - self.skip)

    def _class_folders(self, part: str) -> list[str]:
        folder = self.layout.root / part
        # A walk lists a folder once, however many links lead to it.
        return [name for name in Walk(self.layout.root).folders(part) if holds_images(folder / name)]

    def _about_classes(self, part: str, classes: list[str]) -> list[ReadingNote]:
        parts = self._labelled_parts()
        left = sorted(set(self.layout.parts.values()) - set(parts.values()))
        notes = [ReadingNote(what=f"not read: {name}, whose images have no classes") for name in left]
        if not classes:
            return [*notes, ReadingNote(what="there are no class folders: the images have no labels")]
        if "train" in parts and part != parts["train"]:
            here, there = set(self._class_folders(part)), set(self._class_folders(parts["train"]))
            new = sorted(here - there)
            if new:
                what = f"of {part} that {parts['train']} lacks"
                first = tuple(map(readable_name, new[:3]))
                notes.append(ReadingNote(what=what, count=len(new), of="classes", first=first))
        if len(classes) == 1:
            notes.append(ReadingNote(what=f"there is one class, {readable_name(classes[0])}"))
        return notes


def _of_classes(
    walk: Walk, part: str, here: list[str], classes: list[str]
) -> tuple[list[FoundFile], list[int], list[ReadingNote]]:
    """Return the files of the class folders, their labels, and notes on files that lie deeper or outside."""
    folders = [f"{part}/{name}" if part else name for name in here]
    listed = walk.files(folders)
    _refuse_empty(walk, part, [name for name, one in zip(here, listed, strict=True) if not one])
    files = [found for one in listed for found in one]
    labels = [classes.index(name) for name, one in zip(here, listed, strict=True) for _ in one]
    depth = part.count("/") + 2 if part else 1
    deeper = [found.path for found in files if found.path.count("/") > depth]
    notes = []
    if deeper:
        what = "lie in folders below their class folder and belong to it"
        notes.append(ReadingNote(what=what, count=len(deeper), first=(readable_name(deeper[0]),)))
    loose = Walk(walk.root).loose_files(part)
    if loose:
        what = "lie outside the class folders and are left out"
        first = tuple(readable_name(found.path) for found in loose[:2])
        notes.append(ReadingNote(what=what, count=len(loose), first=first))
    return files, labels, notes


def _refuse_empty(walk: Walk, part: str, names: list[str]) -> None:
    if names:
        raise DataError(
            f"{len(names)} class folders of {walk.root / part} hold no readable image",
            found=", ".join(map(readable_name, names[:8]))
            + "".join(f"; {one.path}: {one.reason}" for one in walk.excluded[:1]),
            hint="remove them, or put their images there",
        )


def _junk(names: list[str], part: str) -> list[ReadingNote]:
    if not names:
        return []
    what = f"of {part or 'the data'} without an image, skipped"
    return [ReadingNote(what=what, count=len(names), of="folders", first=tuple(map(readable_name, names[:3])))]


def _unread_tables(root: Path, classes: list[str]) -> list[ReadingNote]:
    found = [name for name in METADATA if (root / name).is_file()] if classes else []
    return [ReadingNote(what=f"not read: {name}, since folders are the classes (csv:PATH reads it)") for name in found]


def _passed_over(walk: Walk) -> list[ReadingNote]:
    count = sum(walk.passed_over.values())
    if not count:
        return []
    kinds = ", ".join(f"{number} {kind}" for kind, number in walk.passed_over.most_common(4))
    return [ReadingNote(what=f"whose names are not those of images, skipped ({kinds})", count=count, of="files")]
