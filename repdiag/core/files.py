"""Durable writes: a killed process leaves either the old file or the new one, never a part of either."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from repdiag.core.errors import StoreError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EIO: "the disk failed",
}


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> Path:
    """Let `write` fill a private temporary file beside `path`, fsync it, rename it, fsync the directory.

    Raises `StoreError` naming the cause (full disk, quota, permission); no temporary file is left behind.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as error:
        raise _store_error(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _store_error(path, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return path


def write_text(path: Path, text: str) -> Path:
    """Write UTF-8 text durably."""
    return write_atomic(path, lambda stream: stream.write(text.encode("utf-8")))


def write_json(path: Path, value: Any) -> Path:
    """Write indented JSON durably; NaN and infinities are refused."""
    return write_text(path, json.dumps(value, indent=2, sort_keys=False, allow_nan=False) + "\n")


def _sync_directory(folder: Path) -> None:
    if os.name != "posix":
        return  # directories cannot be opened for fsync elsewhere
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _store_error(path: Path, error: OSError) -> StoreError:
    cause = _FULL.get(error.errno or 0, error.strerror or str(error))
    return StoreError(
        f"could not write {path}",
        found=cause,
        hint="free some space or choose another place with --out; what was there before is untouched",
    )
