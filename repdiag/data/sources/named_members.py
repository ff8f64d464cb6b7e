"""Parts and classes from the folders in the names of an archive's members."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from repdiag.core.errors import DataError
from repdiag.data.extensions import EXTENSIONS, UNREAD_IMAGES, extension
from repdiag.data.image_split import Excluded
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.splits import part_of, parts_among


@dataclass(frozen=True)
class NamedMembers:
    """The image members that are used, with label and part of each, and what was left out and assumed."""

    names: tuple[str, ...]
    labels: tuple[str | None, ...]
    parts: tuple[str | None, ...]
    excluded: tuple[Excluded, ...]
    notes: tuple[ReadingNote, ...]


def read_names(names: Sequence[str], where: str) -> NamedMembers:
    """Return what the folders in names such as `data/train/cat/1.jpg` mean; folders around all of them mean nothing."""
    images, excluded, notes = _images(names)
    pieces = {name: name.split("/") for name in images}
    depth, wrapper = _wrapped(list(pieces.values()))
    if wrapper:
        notes.append(ReadingNote(what=f"{wrapper} is passed through: it holds everything"))
    top = sorted({one[depth] for one in pieces.values() if len(one) > depth + 1})
    parts = {name: part for part, name in parts_among(top, where).items()} if top else {}
    if not parts:
        _refuse_parts_in_classes([one[depth:] for one in pieces.values()], where)
    used: list[tuple[str, str | None, str | None]] = []
    outside = []
    for name, one in pieces.items():
        rest = one[depth:]
        part = parts.get(rest[0]) if len(rest) > 1 else None
        label = rest[1 if part else 0] if len(rest) > (2 if part else 1) else None
        if parts and part is None:
            outside.append(name)
        else:
            used.append((name, label, part))
    if any(label for _, label, _ in used):
        outside += [name for name, label, part in used if label is None and part != "test"]
        used = [one for one in used if one[0] not in set(outside)]
    if outside:
        what = "that lie outside the parts or class folders, left out"
        notes.append(ReadingNote(what=what, count=len(outside), first=tuple(outside[:2])))
    return NamedMembers(
        names=tuple(name for name, _, _ in used),
        labels=tuple(label for _, label, _ in used),
        parts=tuple(part for _, _, part in used),
        excluded=tuple(excluded),
        notes=tuple(notes),
    )


def _refuse_parts_in_classes(pieces: Sequence[Sequence[str]], where: str) -> None:
    inner = {(one[0], part) for one in pieces if len(one) > 2 and (part := part_of(one[1])) is not None}
    mixed = sorted({name for name, _ in inner if sum(name == other for other, _ in inner) > 1})
    if mixed:
        raise DataError(
            f"{len(mixed)} folders of {where} contain splits, so splits of one class would be mixed",
            found=", ".join(mixed[:8]),
            hint="unpack it and name the folder that is meant, or give a table: csv:PATH",
        )


def _images(names: Sequence[str]) -> tuple[list[str], list[Excluded], list[ReadingNote]]:
    images: list[str] = []
    excluded: list[Excluded] = []
    passed: Counter[str] = Counter()
    for name in sorted(names):
        kind = extension(name.rsplit("/", 1)[-1])
        if any(piece.startswith(".") for piece in name.split("/")) or name.startswith("__MACOSX/"):
            continue
        if kind in EXTENSIONS:
            images.append(name)
        elif kind in UNREAD_IMAGES:
            excluded.append(Excluded(name, UNREAD_IMAGES[kind]))
        else:
            passed[kind or "no extension"] += 1
    notes = []
    if passed:
        kinds = ", ".join(f"{count} {kind}" for kind, count in passed.most_common(4))
        what = f"whose names are not those of images, skipped ({kinds})"
        notes.append(ReadingNote(what=what, count=sum(passed.values()), of="files"))
    return images, excluded, notes


def _wrapped(pieces: list[list[str]]) -> tuple[int, str]:
    """Return how many folders lie around all files without being a part, and their names."""
    depth = 0
    while (
        pieces
        and all(len(one) > depth + 2 for one in pieces)
        and len({one[depth] for one in pieces}) == 1
        and part_of(pieces[0][depth]) is None
    ):
        depth += 1
    return depth, "/".join(pieces[0][:depth]) if depth else ""
