"""`Listing`: the images of a container with their labels and parts, as its source found them, and a split of it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from repdiag.core.errors import DataError
from repdiag.data.assembly import ImageFiles, ReadRequest, assemble
from repdiag.data.file_source import Archive
from repdiag.data.image_split import Excluded, ImageSplit
from repdiag.data.many_channels import with_statistics
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.splits import chosen_part, part_of
from repdiag.data.walk import FoundFile

NO_LABEL = frozenset({"", "-1", "-1.0", "-100", "nan", "na", "n/a", "null", "none", "<na>"})
"""Labels that say that there is none, in any case."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """One entry a file, all of one length; `labels` and `parts` hold None where an image has none."""

    name: str
    archive: Archive
    files: Sequence[FoundFile]
    labels: Sequence[str | None]
    parts: Sequence[str | None]
    groups: Sequence[str] | None = None
    class_names: tuple[str, ...] | None = None
    """The classes in the container's own order, where it declares them."""
    excluded: tuple[Excluded, ...] = ()
    notes: tuple[ReadingNote, ...] = ()


def open_listing(listing: Listing, split: str, request: ReadRequest) -> ImageSplit:
    """Return a split of the listed images; without parts, val is a fifth of each class."""
    if not listing.files:
        reasons = "; ".join(f"{one.path}: {one.reason}" for one in listing.excluded[:3])
        raise DataError(f"{listing.name} holds no image", found=reasons or None)
    parts = _labelled_parts(listing)
    part, drawn = chosen_part(parts, split, listing.name) if parts else (None, True)
    opened = assemble(_files(listing, split, part, drawn=drawn), request)
    if opened.channels != 3 and split == "val" and "train" in parts and not drawn:
        # Both splits are normalised alike: by what there is to train on.
        trained = assemble(_files(listing, "train", "train", drawn=False), request)
        opened = with_statistics(opened, trained)
    return opened


def joined(listings: Sequence[Listing]) -> Listing:
    """Return the listings of one archive, one after the other; groups and declared classes are those of the first."""
    if len(listings) == 1:
        return listings[0]
    grouped = all(one.groups is not None for one in listings)
    return replace(
        listings[0],
        files=[file for one in listings for file in one.files],
        labels=[label for one in listings for label in one.labels],
        parts=[part for one in listings for part in one.parts],
        groups=[group for one in listings for group in one.groups or ()] if grouped else None,
        excluded=tuple(left for one in listings for left in one.excluded),
        notes=tuple(dict.fromkeys(note for one in listings for note in one.notes)),
    )


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return the key by which class 2 comes before class 10."""
    pieces = re.findall(r"\d+|\D+", name)
    return tuple((0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces)


def _labelled_parts(listing: Listing) -> dict[str, str]:
    """Return the parts there are, without a test part that has no labels beside a train part that has."""
    pairs = zip(listing.parts, listing.labels, strict=True)
    labelled: dict[str, bool] = {}
    for part, label in pairs:
        if part is not None:
            labelled[part] = labelled.get(part, False) or label is not None
    if "val" not in labelled and labelled.get("train") and not labelled.get("test", True):
        del labelled["test"]
    return {part: part for part in labelled}


def _files(listing: Listing, split: str, part: str | None, *, drawn: bool) -> ImageFiles:
    chosen = [number for number, one in enumerate(listing.parts) if part is None or one == part]
    present = {label for label in listing.labels if label is not None}
    classes = listing.class_names or tuple(sorted(present, key=natural))
    numbers = {label: number for number, label in enumerate(classes)}
    labels = [listing.labels[number] for number in chosen]
    return ImageFiles(
        name=listing.name,
        split=split,
        archive=listing.archive,
        files=[listing.files[number] for number in chosen],
        labels=np.array([-1 if label is None else numbers[label] for label in labels], dtype=np.int64),
        class_names=classes,
        groups=None if listing.groups is None else np.array([listing.groups[n] for n in chosen], dtype=np.str_),
        excluded=listing.excluded,
        notes=listing.notes + tuple(_notes(listing, part, labels, drawn=drawn)),
        drawn=drawn,
    )


def _notes(listing: Listing, part: str | None, labels: Sequence[str | None], *, drawn: bool) -> list[ReadingNote]:
    notes = []
    parts = _labelled_parts(listing)
    if part is not None:
        read = {
            chosen_part(parts, one, listing.name)[0] for one in ("train", "val") if one == "val" or "train" in parts
        }
        others = Counter(one or "no part" for one in listing.parts if one not in read)
        notes += [ReadingNote(what=f"of {name}, not read", count=count) for name, count in sorted(others.items())]
        if drawn:
            notes.append(ReadingNote(what=f"val is drawn from {part}, the only part: a fifth of each class, by hash"))
    bare = sum(label is None for label in labels)
    if bare:
        notes.append(ReadingNote(what="without a label", count=bare))
    if part in ("val", "test"):
        there = {label for label, one in zip(listing.labels, listing.parts, strict=True) if one == "train"}
        new = sorted({label for label in labels if label is not None} - there) if there else []
        if new:
            notes.append(ReadingNote(what="that train lacks", count=len(new), of="classes", first=tuple(new[:3])))
    return notes


def label_or_none(value: object) -> str | None:
    """Return a label as text, or None for what says that there is none (empty, -1, nan, NA, ...)."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    if isinstance(value, float) and value.is_integer():
        text = str(int(value))
    return None if text.lower() in NO_LABEL else text


def part_or_none(value: object) -> str | None:
    """Return the part that a cell names, or None."""
    return part_of(str(value)) if value is not None else None
