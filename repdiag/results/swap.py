"""Moves a finished result into its place: in one rename, or file by file under a journal that can be completed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repdiag.core.errors import StoreError
from repdiag.core.files import try_to_sync_folder, write_json
from repdiag.core.folder_record import MARKER, remove_empty
from repdiag.core.temporary import lock

_PATIENCE = 60.0  # seconds; a commit takes milliseconds


def move_whole(fresh: Path, target: Path) -> None:
    """Rename the folder to a place that is absent or an empty folder."""
    if os.name == "nt" and target.exists():
        target.rmdir()  # elsewhere a rename takes the place of an empty folder
    fresh.rename(target)
    try_to_sync_folder(target.parent)


def swap(target: Path, stage: Path, journal: Mapping[str, Any]) -> None:
    """Move the files of stage/new into a folder that holds an older result; `journal` names record, files, remove.

    An error puts everything back. A kill leaves the journal, and `roll_forward` goes on from it.
    """
    fresh, old, marker = stage / "new", stage / "old", target / MARKER
    record = str(journal["record"])
    if marker.exists():
        shutil.copyfile(marker, stage / "marker")
    write_json(stage / "journal", {**journal, "staging": os.path.relpath(stage, target)})
    moves: list[tuple[Path, Path]] = []

    def move(source: Path, place: Path) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        source.rename(place)
        moves.append((source, place))

    new = sorted(path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file())
    (stage / "journal").replace(marker)
    try:
        try_to_sync_folder(target)
        for path in (*journal["remove"], *new):
            if (target / path).exists() and path != record and _is_record(path):
                move(target / path, old / path)
        if (target / record).exists():
            move(target / record, old / record)
        try_to_sync_folder(target)
        for path in (*journal["remove"], *new):
            if path != record and (target / path).exists():
                move(target / path, old / path)
            if path != record and (fresh / path).exists():
                move(fresh / path, target / path)
        _sync(target, journal["files"])
        move(fresh / record, target / record)
    except BaseException:
        _put_back(moves, marker, stage / "marker")
        remove_empty(target, journal["files"])
        raise
    _finish(target, journal)


def roll_forward(target: Path) -> None:
    """Complete what a killed `swap` has begun, from its private folder; nothing where that is not there any more."""
    try:
        journal = json.loads((target / MARKER).read_text("utf-8"))
        record, fresh = str(journal["record"]), target / journal["staging"] / "new"
        removed, files = list(journal["remove"]), dict(journal["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return  # it marks work in several steps, which goes on by itself
    if not (fresh / record).is_file():
        if (target / record).is_file():
            (target / MARKER).unlink()
        return
    (target / record).unlink(missing_ok=True)
    for path in removed:
        (target / path).unlink(missing_ok=True)
    for path in (name for name in files if name != record and (fresh / name).is_file()):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (fresh / path).replace(target / path)
    _sync(target, files)
    (fresh / record).replace(target / record)
    _finish(target, journal)


@contextmanager
def alone(target: Path) -> Iterator[None]:
    """Hold the lock of a folder's last step, which lies beside it, and remove it at the end."""
    beside = target if target.is_dir() and not os.access(target.parent, os.W_OK) else target.parent
    path = beside / f".{target.name[:100]}.commit.tmp"
    if path in _HELD or not beside.is_dir():
        yield
        return
    stream, until = path.open("ab"), time.monotonic() + _PATIENCE
    while not (lock(stream) and _is_the_file(stream.fileno(), path)):
        stream.close()
        if time.monotonic() > until:
            raise StoreError(f"another process is writing to {target}", hint="wait for it, or choose another --out")
        time.sleep(0.02)
        stream = path.open("ab")
    _HELD.add(path)
    try:
        yield
    finally:
        _HELD.discard(path)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        stream.close()


_HELD: set[Path] = set()  # a lock is taken again by who holds it


def _put_back(moves: list[tuple[Path, Path]], marker: Path, before: Path) -> None:
    try:
        for source, place in reversed(moves):
            source.parent.mkdir(parents=True, exist_ok=True)
            place.rename(source)
        if before.exists():
            before.replace(marker)
        else:
            marker.unlink()
    except OSError as error:
        raise StoreError(
            f"the result in {marker.parent} is incomplete: it mixes the old and the new one",
            found=error.strerror or str(error),
            hint="run the same command again",
        ) from error


def _is_the_file(descriptor: int, path: Path) -> bool:
    """Say whether the file that is locked is still the one of that name: its last holder removed it."""
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _is_record(path: str) -> bool:
    return path in ("run.json", "manifest.json")


def _finish(target: Path, journal: Mapping[str, Any]) -> None:
    """Tidy up; the result is complete already, so that nothing that fails here undoes it."""
    try_to_sync_folder(target)
    with contextlib.suppress(OSError):
        (target / MARKER).unlink(missing_ok=True)
    remove_empty(target, journal["remove"])
    try_to_sync_folder(target)


def _sync(target: Path, files: Mapping[str, Any]) -> None:
    for folder in sorted({(target / path).parent for path in files}):
        if folder.is_dir():
            try_to_sync_folder(folder)
