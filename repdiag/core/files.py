"""Durable writes: a killed process leaves either the old file or the new one, never a part of either."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from repdiag.core.errors import StoreError
from repdiag.core.temporary import lock, make_parents, remove_leftovers, temporary_name

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EIO: "the disk failed",
}


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> Path:
    """Let `write` fill a private temporary file beside `path`, fsync it, rename it, fsync the directory.

    Raises `StoreError` naming the cause (full disk, quota, permission); no temporary file is left behind, and what a
    killed process left of an earlier try is removed. Where only the last step fails the new file is there, and the
    error says so.
    """
    temporary = temporary_name(path)
    made: list[Path] = []
    try:
        for folder in make_parents(path.parent):
            made.append(folder)  # noqa: PERF402 - those that were made before one failed are to be known
        remove_leftovers(path)
        with temporary.open("xb") as stream:
            lock(stream)
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        _remove(temporary, made)
        if isinstance(error, OSError):
            raise store_error(path, error) from error
        raise
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path} is written, but the disk did not confirm it",
            found=_cause(error),
            hint="a power cut could still lose it: free some space and run the same command again",
        ) from error
    return path


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text durably."""
    return write_atomic(path, lambda stream: stream.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> Path:
    """Write indented JSON durably; NaN and infinities are refused."""
    return write_text(path, json.dumps(value, indent=2, sort_keys=False, allow_nan=False) + "\n")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if os.name != "posix":
        return  # directories cannot be opened for fsync elsewhere
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def try_to_sync_folder(folder: Path) -> None:
    """Make the names in a folder durable where the disk allows it: they are there, only a power cut could lose them."""
    with contextlib.suppress(OSError):
        sync_folder(folder)


def is_full(error: OSError) -> bool:
    """Say whether a disk refused: full, out of quota, or failing."""
    return error.errno in _FULL


def store_error(path: Path, error: OSError) -> StoreError:
    """Return what a failed write means to a user; the old `path` must be as it was."""
    return StoreError(
        f"could not write {path}",
        found=_cause(error),
        hint="free some space or choose another place with --out; what was there before is untouched",
    )


def _cause(error: OSError) -> str:
    return _FULL.get(error.errno or 0, error.strerror or str(error))


def _remove(temporary: Path, made: list[Path]) -> None:
    """Take away what a write that failed has made."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            folder.rmdir()
