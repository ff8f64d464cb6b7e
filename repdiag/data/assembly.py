"""From a list of image files to an `ImageSplit`: checked, left out or counted, split, and packed where small."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from repdiag.core.errors import DataError, StoreError
from repdiag.data.file_source import Archive, EncodedSource
from repdiag.data.image_split import Excluded, ImageSplit, Texts
from repdiag.data.many_channels import with_statistics
from repdiag.data.packed import pack
from repdiag.data.reading import PLAIN, Reading
from repdiag.data.reading_notes import ReadingNote, counted_notes, dark_note
from repdiag.data.scan import Checked, scan
from repdiag.data.splits import drawn_part
from repdiag.data.walk import FoundFile, readable_name

_LOG = logging.getLogger(__name__)

CHECK_AT_OPEN = 200_000
"""Sets of up to so many images are decoded in full when they are first opened."""
PACK_UP_TO = 128
"""Images that are all squares of one size, of up to so many pixels, are packed when they are first opened."""


@dataclass(frozen=True, kw_only=True)
class ReadRequest:
    """How images are read: `strict` makes an unreadable one an error, `check` decides whether all are decoded at once
    to find them, `check_content` whether files that seem unchanged are read again."""

    strict: bool = False
    check: bool | None = None
    check_content: bool = False
    reading: Reading = PLAIN


@dataclass(frozen=True, kw_only=True)
class ImageFiles:
    """The image files of one split, or of data without parts when `drawn`; `labels` are -1 where there is none."""

    name: str
    split: str
    archive: Archive
    files: Sequence[FoundFile]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    groups: Texts | None = None
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[ReadingNote, ...] = field(default=())
    drawn: bool = False


def assemble(given: ImageFiles, request: ReadRequest) -> ImageSplit:
    """Return the split of the files; those that cannot be decoded whole are in `excluded`, each with the reason."""
    wanted = request.check if request.check is not None else len(given.files) <= CHECK_AT_OPEN
    checked = _checked(given, request) if wanted else None
    good = [number for number in range(len(given.files)) if checked is None or checked[number].reason is None]
    excluded = given.excluded + _unreadable(given, checked)
    _refuse_strictly(given, excluded, request)
    _refuse_unreadable(given, good, excluded)
    found = None if checked is None else [checked[number] for number in good]
    channels, notes = _said(given, good, found)
    opened = ImageSplit(
        name=given.name,
        split=given.split,
        source=EncodedSource(given.archive, [given.files[number].path for number in good], request.reading),
        positions=np.arange(len(good)),
        labels=given.labels[good],
        row_ids=np.array([readable_name(given.files[number].path) for number in good], dtype=np.str_),
        class_names=given.class_names,
        content=np.array(_contents(given, good, found, request.reading), dtype=np.str_),
        preset="moco_v2",
        excluded=excluded,
        notes=given.notes + notes,
        channels=channels,
        groups=None if given.groups is None else given.groups[good],
    )
    opened = with_statistics(opened)
    if given.drawn:
        opened = drawn_part(opened, given.split)
    return _packed_if_small(opened, found)


def _checked(given: ImageFiles, request: ReadRequest) -> list[Checked]:
    return scan(
        given.archive.root,
        given.files,
        reading=request.reading,
        check_content=request.check_content,
        read=given.archive.read,
    )


def _unreadable(given: ImageFiles, checked: Sequence[Checked] | None) -> tuple[Excluded, ...]:
    pairs = zip(given.files, checked or (), strict=False)
    return tuple(Excluded(readable_name(file.path), one.reason) for file, one in pairs if one.reason is not None)


def _refuse_strictly(given: ImageFiles, excluded: Sequence[Excluded], request: ReadRequest) -> None:
    if request.strict and excluded:
        raise DataError(
            f"{len(excluded)} files of {given.archive.root} cannot be used, and strict reading was asked for",
            found=f"{excluded[0].path}: {excluded[0].reason}",
            hint="repair or remove them, or read without strict to leave them out",
        )


def _refuse_unreadable(given: ImageFiles, good: Sequence[int], excluded: Sequence[Excluded]) -> None:
    """Refuse a set without a readable image, and classes that lost all of theirs: the rest would be another set."""
    why = f"{excluded[-1].path}: {excluded[-1].reason}" if excluded else "no image file"
    if not good:
        problem = f"{given.name} has no readable image for {given.split}"
        raise DataError(problem, found=f"{len(given.files)} files; {why}")
    lost = sorted(set(given.labels.tolist()) - set(given.labels[good].tolist()) - {-1})
    if lost:
        names = ", ".join(given.class_names[label] for label in lost[:8])
        raise DataError(
            f"{len(lost)} classes of {given.name} hold no readable image for {given.split}",
            found=f"{names}; {why}",
            hint="remove them, or put their images there",
        )


def _contents(given: ImageFiles, good: Sequence[int], found: Sequence[Checked] | None, reading: Reading) -> list[str]:
    """Return what identifies each image's pixels: the hash of its bytes, and how they are read where not plainly."""
    suffix = f" {reading.key}" if reading.key else ""
    if found is None:
        return [f"{given.files[number].size} bytes{suffix}" for number in good]
    return [one.digest + suffix for one in found]


def _said(
    given: ImageFiles, good: Sequence[int], found: Sequence[Checked] | None
) -> tuple[int, tuple[ReadingNote, ...]]:
    """Return the channels of all images, and what was done to read them; raise `DataError` where channels differ."""
    if found is None:
        first = int(EncodedSource(given.archive, [given.files[0].path]).image(0).shape[0]) if good else 3
        what = f"the {len(good)} images were not decoded when the data were opened (more than {CHECK_AT_OPEN})"
        return first, (ReadingNote(what=what),)
    names = [readable_name(given.files[number].path) for number in good]
    counts = Counter(one.channels for one in found)
    if len(counts) > 1:
        rare = min(counts, key=lambda channels: counts[channels])
        some = [name for name, one in zip(names, found, strict=True) if one.channels == rare][:3]
        raise DataError(
            f"the images of {given.name} do not have one number of channels",
            found=", ".join(f"{count} of {channels}" for channels, count in sorted(counts.items()))
            + f"; of {rare}: {', '.join(some)}",
            hint="keep them apart, or choose channels that all have: channels=1+2+3 after the data's path",
        )
    deep = [one.highest for one in found if one.highest is not None and "16-bit" in one.notes]
    channels = next(iter(counts))
    return channels, counted_notes(names, [one.notes for one in found]) + dark_note(deep)


def _packed_if_small(opened: ImageSplit, found: Sequence[Checked] | None) -> ImageSplit:
    shapes = {(one.height, one.width) for one in found or ()}
    height, width = shapes.pop() if len(shapes) == 1 else (0, 1)
    if height != width or height > PACK_UP_TO:
        return opened
    opened = replace(opened, preset="moco_v2_32" if height <= 64 else opened.preset)
    if opened.channels != 3:
        return opened  # as floats of many channels a pack would take many times the files' room
    try:
        return pack(opened, height)
    except StoreError as error:
        _LOG.warning("the images are decoded again each time: %s", error.found)
        return opened
