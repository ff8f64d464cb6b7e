"""`lmdb:PATH`: key-value stores of encoded images, as LSUN and text recognition write them."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from repdiag.core.errors import DataError, DependencyError
from repdiag.data.assembly import ReadRequest
from repdiag.data.image_split import Excluded, ImageSplit
from repdiag.data.rasters.levels import INSTALL
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.sources.listing import Listing, label_or_none, open_listing
from repdiag.data.sources.named_members import read_names
from repdiag.data.walk import FoundFile

_SIGNS = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"GIF8", b"BM", b"II*\0", b"MM\0*")
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def open_lmdb(path: Path, split: str, request: ReadRequest, *, name: str) -> ImageSplit:
    """Open a split of an LMDB whose values are image files.

    Keys image-N and label-N hold images and labels; otherwise the folders in keys such as train/cat/1.jpg mean parts
    and classes. Values that are pickled, or messages of Caffe's, are refused: they are programs, or need their reader.
    """
    if not path.exists():
        raise DataError(f"{path} is not here", hint="name the folder that holds data.mdb, or the file")
    archive = LmdbImages(path)
    keys, signs = archive.scan()
    images = [key for key, sign in signs.items() if sign == "image"]
    pickled = [key for key, sign in signs.items() if sign == "pickle"]
    if not images:
        raise DataError(
            f"no value of {path} is an image file",
            found=f"{len(keys)} keys, the first {keys[0] if keys else 'none'}"
            + (f"; {len(pickled)} values are pickled, and loading them would run their code" if pickled else ""),
            hint="write it again with the bytes of each image file as its value",
        )
    status = archive.data_file().stat()
    labels: list[str | None]
    parts: list[str | None]
    paired = {key for key in images if key.startswith("image-") and f"label-{key[6:]}" in signs}
    if paired:
        chosen = sorted(paired)
        labels = [label_or_none(archive.read(f"label-{key[6:]}").decode("utf-8", "replace")) for key in chosen]
        parts = [None] * len(chosen)
        rest = len(keys) - 2 * len(paired)
        notes = [ReadingNote(what="neither image-N nor label-N, passed over", count=rest, of="keys")] if rest else []
    else:
        found = read_names([key if "." in key.rsplit("/", 1)[-1] else f"{key}.jpg" for key in images], name)
        known = set(images)
        chosen = [one if one in known else one.removesuffix(".jpg") for one in found.names]
        labels, parts, notes = list(found.labels), list(found.parts), list(found.notes)
        rest = len(keys) - len(images)
        notes += [ReadingNote(what="whose values are not images, skipped", count=rest, of="keys")] if rest else []
    files = [FoundFile(key, archive.size(key), status.st_mtime_ns, status.st_ctime_ns) for key in chosen]
    excluded = tuple(Excluded(key, "pickled; loading it would run its code") for key in pickled)
    listing = Listing(
        name=name, archive=archive, files=files, labels=labels, parts=parts, excluded=excluded, notes=tuple(notes)
    )
    return open_listing(listing, split, request)


class LmdbImages:
    """The values of an LMDB; each process opens it for itself."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def data_file(self) -> Path:
        """Return the file that holds the values."""
        return self.root / "data.mdb" if self.root.is_dir() else self.root

    def scan(self) -> tuple[list[str], dict[str, str]]:
        """Return all keys, and of each whether its value is an "image", a "pickle" or something else ("other")."""
        signs: dict[str, str] = {}
        with self._environment().begin(buffers=True) as transaction:
            for key, value in transaction.cursor():
                head = bytes(value[:8])
                kind = "image" if head.startswith(_SIGNS) or head[4:8] == b"ftyp" else "other"
                signs[bytes(key).decode("utf-8", "surrogateescape")] = "pickle" if head.startswith(_PICKLES) else kind
        return list(signs), signs

    def size(self, key: str) -> int:
        """Return the bytes of a value."""
        return len(self.read(key))

    def read(self, path: str) -> bytes:
        """Return the value of a key."""
        with self._environment().begin() as transaction:
            value: bytes | None = transaction.get(path.encode("utf-8", "surrogateescape"))
        if value is None:
            raise OSError("no such key")
        return value

    def _environment(self) -> Any:
        return _opened(self.root.resolve(), os.getpid())


@cache
def _opened(path: Path, process: int) -> Any:
    """Return the one environment of a path that a process may have; a child of it opens its own."""
    del process
    try:
        import lmdb
    except ImportError as error:
        raise DependencyError("reading LMDB needs the package lmdb", hint=INSTALL) from error
    try:
        return lmdb.open(str(path), subdir=path.is_dir(), readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise DataError(f"{path} is no LMDB", found=str(error)) from error
