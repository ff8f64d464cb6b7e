"""Private names beside a path: locked while their owner lives, and removed by the next one that finds it dead."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from repdiag.core.signals import held_signals

LOCK = "lock"
_LONGEST = 180  # bytes of a name that leave room for what is added; file systems allow 255


def temporary_name(path: Path, *, folder: Path | None = None) -> Path:
    """Return a new hidden name for what is to become `path`, beside it or in `folder`; it tells the process."""
    return (folder or path.parent) / f".{_stem(path)}.{os.getpid()}-{secrets.token_hex(6)}.tmp"


def remove_leftovers(path: Path, *, folder: Path | None = None, keep: Path | None = None) -> None:
    """Remove what dead processes left of unfinished `path`; what a living one holds, and `keep`, stays."""
    pattern = re.compile(rf"\.{re.escape(_stem(path))}\.(\d+)-[0-9a-f]{{12}}\.tmp")
    try:
        names = [found.name for found in (folder or path.parent).iterdir()]
    except OSError:
        return
    for name in names:
        match = pattern.fullmatch(name)
        found = (folder or path.parent) / name
        if match is None or found == keep or _is_held(found, int(match[1])):
            continue
        if found.is_dir() and not found.is_symlink():
            shutil.rmtree(found, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                found.unlink()


def lock(stream: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another process holds it. Where no locks exist: True."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network disk without locks
        return True
    return True


def make_parents(folder: Path) -> Iterator[Path]:
    """Make a folder and its parents; yield those that were not there, outermost first."""
    if folder.is_dir():
        return
    yield from make_parents(folder.parent)
    try:
        folder.mkdir()
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    yield folder


class TemporaryFolder:
    """Context manager of a private folder for what is to become `path`; removed, with all that is in it, at the end.

    Parent folders that had to be made are removed again where they are still empty at the end.
    """

    def __init__(self, path: Path, *, folder: Path | None = None) -> None:
        self.target = path
        self.path = temporary_name(path, folder=folder)
        self._made: list[Path] = []
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Path:
        with held_signals():
            try:
                for folder in make_parents(self.path.parent):
                    self._made.append(folder)
                self.path.mkdir()
                self._lock = (self.path / LOCK).open("wb")
                lock(self._lock)
            except OSError:
                self._remove()
                raise
        return self.path

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with held_signals():
            self._remove()

    def _remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            self._lock.close()
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):  # something is in it
                folder.rmdir()


def _stem(path: Path) -> str:
    raw = os.fsencode(path.name)
    return path.name if len(raw) <= _LONGEST else hashlib.sha256(raw).hexdigest()[:32]


def _is_held(path: Path, owner: int) -> bool:
    """Say whether a living process may still write there: it runs here, or it holds the lock from elsewhere."""
    if owner != os.getpid() and _runs(owner):
        return True
    try:
        with (path / LOCK if path.is_dir() else path).open("r+b") as stream:
            return not lock(stream)
    except FileNotFoundError:
        return False  # it died before it locked
    except OSError:
        return True


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
