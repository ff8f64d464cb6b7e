"""What the folders of an image folder mean: parts, classes, a wrapper around them, or nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repdiag.core.errors import DataError
from repdiag.data.extensions import EXTENSIONS, UNREAD_IMAGES, extension
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.splits import PARTS_HINT, parts_among
from repdiag.data.walk import readable_name

GENERIC = frozenset({"images", "image", "imgs", "img", "jpegimages", "jpegs", "jpgs", "pngs", "pictures", "photos"})
"""Folders of these names that stand alone are no classes."""
_AT_MOST = 8  # names that an error lists
_DEEPEST = 8  # folders, each alone in the one above it


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The folder that holds the parts or classes, the parts by name ({} in a flat folder), and what was assumed."""

    root: Path
    parts: dict[str, str] = field(default_factory=dict)
    notes: tuple[ReadingNote, ...] = ()


def find_layout(root: Path) -> Layout:
    """Return what the folders below `root` mean; raise `DataError` where they may mean two things.

    Parts are folders of the usual names in any case. A single folder around them is passed through. A folder of classes
    that has such a name itself (a class `train` beside `bus` and `car`) is a class where images lie right in it.
    """
    top = folders_in(root)
    parts = parts_among(top, str(root))
    others = [name for name in top if name not in parts.values() and holds_images(root / name)]
    if not parts:
        return _without_parts(root, others)
    only = next(iter(parts.values()))
    if len(parts) == 1 and others:
        if image_files_in(root / only) and not any(
            holds_images(root / only / name) for name in folders_in(root / only)
        ):
            what = (
                f"{only} is read as a class, because it directly contains images and {others[0]} is a class next to it"
            )
            return Layout(root=root, notes=(ReadingNote(what=what),))
        raise DataError(
            f"{root} has one split and other folders of images next to it",
            found=_listed([only, *others]),
            hint=f"name {root / only} for it alone, or name the folders for the parts: {PARTS_HINT}",
        )
    notes = []
    if others:
        notes.append(ReadingNote(what=f"not read: {_listed(others)}, which is neither a train nor a val split"))
    if {"val", "test"} <= parts.keys():
        notes.append(ReadingNote(what=f"not read: {parts['test']}; {parts['val']} is what val means"))
    elif "test" in parts:
        notes.append(ReadingNote(what=f"val is {parts['test']}"))
    inner = {part: _passed_through(root, name, notes) for part, name in parts.items()}
    return Layout(root=root, parts=inner, notes=tuple(notes))


def _holds_classes(folder: Path) -> bool:
    return any(holds_images(folder / name) for name in folders_in(folder))


def _without_parts(root: Path, classes: Sequence[str]) -> Layout:
    if len(classes) == 1 and not image_files_in(root):
        inner, why = _within(root / classes[0])
        if inner is not None:
            found = find_layout(inner)
            note = ReadingNote(what=f"{inner.relative_to(root).as_posix()} is passed through: {why}")
            return Layout(root=found.root, parts=found.parts, notes=(note, *found.notes))
    inside = {name: parts_among(folders_in(root / name), str(root / name)) for name in classes}
    split = [name for name, parts in inside.items() if len(parts) > 1]
    if split:
        raise DataError(
            f"{len(split)} folders of {root} contain splits, so splits of one class would be mixed",
            found=f"{split[0]} has {', '.join(inside[split[0]].values())}",
            hint=f"name the one that is meant, such as {root / split[0]}, or give a table: csv:PATH",
        )
    return Layout(root=root)


def _within(folder: Path) -> tuple[Path | None, str]:
    """Return the folder that is meant where one stands alone, and why; None where it is a class itself."""
    if folder.name.lower() in GENERIC:
        return folder, "its name is not that of a class"
    for _ in range(_DEEPEST):
        inner = folders_in(folder)
        if parts_among(inner, str(folder)):
            return folder, "it holds the splits"
        holding = [name for name in inner if holds_images(folder / name)]
        if image_files_in(folder) or not holding:
            return None, ""
        if len(holding) > 1:
            return folder, "it holds everything"
        folder = folder / holding[0]
    return None, ""


def _passed_through(root: Path, name: str, notes: list[ReadingNote]) -> str:
    """Return a part's folder, or the one of the same name that it holds and nothing else."""
    inner = [one for one in folders_in(root / name) if holds_images(root / name / one)]
    if image_files_in(root / name):
        return name
    if len(inner) == 1 and (inner[0].lower() == name.lower() or inner[0].lower() in GENERIC):
        notes.append(ReadingNote(what=f"{name}/{inner[0]} is read for {name}"))
        return f"{name}/{inner[0]}"
    return name


def folders_in(path: Path) -> list[str]:
    """Return the names of the folders in a folder that are not hidden, sorted."""
    try:
        with os.scandir(path) as entries:
            return sorted(one.name for one in entries if not one.name.startswith(".") and one.is_dir())
    except OSError:
        return []


def image_files_in(path: Path) -> bool:
    """Tell whether an image file lies right in a folder."""
    return any(_is_image(entry) for entry in _entries(path))


def holds_images(path: Path) -> bool:
    """Tell whether an image file lies anywhere below a folder; stops at the first."""
    ahead, seen = [path], set()
    while ahead:
        folder = ahead.pop()
        try:
            status = folder.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        entries = list(_entries(folder))
        if any(_is_image(entry) for entry in entries):
            return True
        ahead += [folder / entry.name for entry in entries if entry.is_dir()]
    return False


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from (entry for entry in entries if not entry.name.startswith("."))
    except OSError:
        return


def _is_image(entry: os.DirEntry[str]) -> bool:
    kind = extension(entry.name)
    return (kind in EXTENSIONS or kind in UNREAD_IMAGES) and not entry.is_dir()


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(readable_name, names[:_AT_MOST]))
    return f"{shown}, ..." if len(names) > _AT_MOST else shown
