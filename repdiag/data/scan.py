"""Which files of a folder can be decoded whole: found once by decoding them, remembered until a file changes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from repdiag.core.errors import StoreError
from repdiag.core.files import write_text
from repdiag.data.decode import UnreadableImage, decode_with_notes
from repdiag.data.folders import cache_folder
from repdiag.data.rasters.levels import INSTALL
from repdiag.data.reading import PLAIN, Reading
from repdiag.data.walk import FoundFile

_LOG = logging.getLogger(__name__)
_VERSION = 3  # raised when what counts as readable changes
_BLOCK = 2048
_SECONDS_BETWEEN_SAVES = 30.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What a full decode found: the hash of the file's bytes, and either a size in pixels or a reason.

    `notes` are keys of `reading_notes.SENTENCES`; `highest` is the highest level of an image of more than 8 bits.
    """

    size: int
    mtime_ns: int
    digest: str
    height: int
    width: int
    reason: str | None
    ctime_ns: int = 0
    channels: int = 3
    notes: tuple[str, ...] = ()
    highest: float | None = None

    @property
    def settled(self) -> bool:
        """Tell whether another decode would find the same: not where a decoder was missing, which may be here now."""
        return self.reason is None or INSTALL not in self.reason

    def fits(self, found: FoundFile) -> bool:
        """Tell whether the file cannot have changed since: its size and both its times are the same."""
        return self.settled and (self.size, self.mtime_ns, self.ctime_ns) == (
            found.size,
            found.mtime_ns,
            found.ctime_ns,
        )


@runtime_checkable
class Readable(Protocol):
    """What bytes are read from: a path, or a member of an archive."""

    def read_bytes(self) -> bytes:
        """Return all bytes."""
        ...


@dataclass(frozen=True)
class _Member:
    read: Read
    path: str

    def read_bytes(self) -> bytes:
        return self.read(self.path)


Read = Callable[[str], bytes]


def scan(
    root: Path,
    files: Sequence[FoundFile],
    *,
    reading: Reading = PLAIN,
    check_content: bool = False,
    read: Read | None = None,
) -> list[Checked]:
    """Return what a full decode of each file finds; only files that are new or changed are decoded.

    A file counts as unchanged while its size, its time of modification and its time of change are the same; with
    `check_content` every file is read and its hash compared. `read` returns a member's bytes where `root` is an
    archive. Results are kept under `$REPDIAG_CACHE/scans`, saved along the way, so that an interrupted scan goes on
    where it stopped. Pillow's `verify()` is not used: it does not notice truncation.
    """
    identity = os.fsencode(root.resolve()) + reading.key.encode()
    place = cache_folder("scans") / f"{hashlib.sha256(identity).hexdigest()[:32]}.json"
    known = _load(place)
    wanted = [found for found in files if check_content or found.path not in known or not known[found.path].fits(found)]
    if wanted:
        _LOG.info("checking %d of %d images below %s", len(wanted), len(files), root)
        saved = time.monotonic()
        for path, checked in _check_all(root, wanted, known=known, reading=reading, read=read):
            known[path] = checked
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                _save(place, known)
                saved = time.monotonic()
        _save(place, known)
    return [known[found.path] for found in files]


def check(source: Readable, found: FoundFile, *, before: Checked | None = None, reading: Reading = PLAIN) -> Checked:
    """Read one file to its end and decode it, unless its bytes are those that were decoded `before`."""
    status = (found.size, found.mtime_ns)
    try:
        data = source.read_bytes()
    except OSError as error:
        return Checked(*status, "", 0, 0, str(error.strerror or error), found.ctime_ns)
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    if before is not None and before.settled and before.digest == digest:
        return replace(before, size=found.size, mtime_ns=found.mtime_ns, ctime_ns=found.ctime_ns)
    try:
        decoded = decode_with_notes(data, reading)
    except UnreadableImage as error:
        return Checked(*status, digest, 0, 0, str(error), found.ctime_ns)
    channels, height, width = decoded.pixels.shape
    highest = None if decoded.levels is None else decoded.levels[1]
    return Checked(*status, digest, height, width, None, found.ctime_ns, channels, decoded.notes, highest)


def _check_all(
    root: Path, files: Sequence[FoundFile], *, known: Mapping[str, Checked], reading: Reading, read: Read | None
) -> Iterable[tuple[str, Checked]]:
    def one(found: FoundFile) -> tuple[str, Checked]:
        source: Readable = root / found.path if read is None else _Member(read, found.path)
        return found.path, check(source, found, before=known.get(found.path), reading=reading)

    # Threads, because decoding releases the interpreter lock; Pillow's warnings about odd metadata concern no pixel.
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, len(files), _BLOCK):
            yield from pool.map(one, files[start : start + _BLOCK])


def _load(place: Path) -> dict[str, Checked]:
    """Return the stored results; a missing or damaged file means that everything is checked again."""
    try:
        digest, body = place.read_text("utf-8").split("\n", 1)
        if digest != hashlib.sha256(body.encode()).hexdigest():
            return {}
        stored = json.loads(body)
        return {path: _checked(values) for path, values in stored["files"].items()} if _current(stored) else {}
    except (OSError, ValueError):
        return {}


def _checked(values: list[Any]) -> Checked:
    named = dict(zip(Checked.__slots__, values, strict=True))
    return Checked(**{**named, "notes": tuple(named["notes"])})


def _current(stored: dict[str, object]) -> bool:
    return stored.get("version") == _VERSION


def _save(place: Path, known: dict[str, Checked]) -> None:
    values = {
        path: tuple(getattr(one, name) for name in Checked.__slots__)  # in the order of its fields
        for path, one in known.items()
    }
    body = json.dumps({"version": _VERSION, "files": values})  # ASCII: names that are no UTF-8 survive as escapes
    try:
        write_text(place, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
    except StoreError as error:
        _LOG.warning("the scan is not remembered: %s", error.found)
