"""Which files of a folder can be decoded whole: found once by decoding them, remembered until a file changes."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from repdiag.core.errors import StoreError
from repdiag.core.files import write_text
from repdiag.data.decode import UnreadableImage, decode
from repdiag.data.folders import cache_folder
from repdiag.data.walk import FoundFile

_LOG = logging.getLogger(__name__)
_VERSION = 1  # raised when what counts as readable changes
_BLOCK = 2048
_SECONDS_BETWEEN_SAVES = 30.0


@dataclass(frozen=True, slots=True)
class Checked:
    """What a full decode found: the hash of the file's bytes, and either a size in pixels or a reason."""

    size: int
    mtime_ns: int
    digest: str
    height: int
    width: int
    reason: str | None

    def fits(self, found: FoundFile) -> bool:
        """Tell whether the file has not changed since."""
        return self.size == found.size and self.mtime_ns == found.mtime_ns


def scan(root: Path, files: Sequence[FoundFile]) -> list[Checked]:
    """Return what a full decode of each file finds; only files that are new or changed are decoded.

    Results are kept under `$REPDIAG_CACHE/scans`, saved along the way, so that an interrupted scan goes on where it
    stopped. Pillow's `verify()` is not used: it does not notice truncation.
    """
    place = cache_folder("scans") / f"{hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]}.json"
    known = _load(place)
    wanted = [found for found in files if found.path not in known or not known[found.path].fits(found)]
    if wanted:
        _LOG.info("checking %d of %d images below %s", len(wanted), len(files), root)
        saved = time.monotonic()
        for path, checked in _check_all(root, wanted):
            known[path] = checked
            if time.monotonic() - saved > _SECONDS_BETWEEN_SAVES:
                _save(place, known)
                saved = time.monotonic()
        _save(place, known)
    return [known[found.path] for found in files]


def check(path: Path, found: FoundFile) -> Checked:
    """Read and decode one file to its end."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Checked(found.size, found.mtime_ns, "", 0, 0, str(error.strerror))
    digest = hashlib.blake2b(data, digest_size=16).hexdigest()
    try:
        _, height, width = decode(data).shape
    except UnreadableImage as error:
        return Checked(found.size, found.mtime_ns, digest, 0, 0, str(error))
    return Checked(found.size, found.mtime_ns, digest, height, width, None)


def _check_all(root: Path, files: Sequence[FoundFile]) -> Iterable[tuple[str, Checked]]:
    # Threads, because decoding releases the interpreter lock; Pillow's warnings about odd metadata concern no pixel.
    with ThreadPoolExecutor(os.cpu_count()) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start in range(0, len(files), _BLOCK):
            block = files[start : start + _BLOCK]
            paths = [root / found.path for found in block]
            yield from zip((found.path for found in block), pool.map(check, paths, block), strict=True)


def _load(place: Path) -> dict[str, Checked]:
    """Return the stored results; a missing or damaged file means that everything is checked again."""
    try:
        digest, body = place.read_text("utf-8").split("\n", 1)
        if digest != hashlib.sha256(body.encode()).hexdigest():
            return {}
        stored = json.loads(body)
        return {path: Checked(*values) for path, values in stored["files"].items()} if _current(stored) else {}
    except (OSError, ValueError):
        return {}


def _current(stored: dict[str, object]) -> bool:
    return stored.get("version") == _VERSION


def _save(place: Path, known: dict[str, Checked]) -> None:
    values = {
        path: (one.size, one.mtime_ns, one.digest, one.height, one.width, one.reason) for path, one in known.items()
    }
    body = json.dumps({"version": _VERSION, "files": values})  # ASCII: names that are no UTF-8 survive as escapes
    try:
        write_text(place, f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}")
    except StoreError as error:
        _LOG.warning("the scan is not remembered: %s", error.found)
