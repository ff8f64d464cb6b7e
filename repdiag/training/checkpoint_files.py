"""The checkpoints of one run: the last, the one before it, the one it started from, and kept epochs."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdiag.checkpoints.own.native import read_native, write_native
from repdiag.core.errors import CheckpointError, StoreError

_LOG = logging.getLogger(__name__)

# What disks answer that cannot give a file a second name: FAT, network disks, object stores mounted as folders.
_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)

# Room for the last checkpoint, the one before it, and the one being written.
_COPIES = 3
_OWN = re.compile(r"(last|previous|initial|epoch_\d+)\.pt(\.damaged)?")


@dataclass(frozen=True)
class Found:
    """A readable checkpoint, and the damaged files that were passed over to get to it."""

    path: Path
    payload: dict[str, Any]
    damaged: tuple[str, ...]


class CheckpointFiles:
    """`checkpoints/` of a run directory."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "checkpoints"
        self.last = self.folder / "last.pt"
        self.previous = self.folder / "previous.pt"
        self.initial = self.folder / "initial.pt"

    def save(self, payload: Mapping[str, Any], *, keep_epoch: int | None = None) -> str:
        """Write `last.pt`; what was there stays as `previous.pt`. Return the digest.

        At every moment at least one of the two is whole: the new file is renamed into place only when it is on disk.
        """
        if self.last.exists():
            _replace_by_link(self.last, self.previous)
        digest = write_native(self.last, payload)
        if keep_epoch is not None:
            _replace_by_link(self.last, self.folder / f"epoch_{keep_epoch:04d}.pt")
        return digest

    def save_initial(self, payload: Mapping[str, Any], *, growth: int = 0, kept: int = 0) -> None:
        """Write the starting point, after making sure that the run's checkpoints will fit on the disk.

        They will be larger than it by `growth` bytes, what the optimizer remembers. Says so where there is no room for
        the `kept` ones that stay for good.
        """
        write_native(self.initial, payload)
        size = self.initial.stat().st_size + growth
        needed, free = _COPIES * size, shutil.disk_usage(self.folder).free
        if free < needed:
            self.initial.unlink()
            raise StoreError(
                f"too little space for the checkpoints in {self.folder}",
                found=f"{free / 2**20:.0f} MiB free, {needed / 2**20:.0f} MiB needed",
                hint="free some space or choose another place with --out",
            )
        if free < needed + kept * size:
            room, wanted = free / 2**20, (needed + kept * size) / 2**20
            _LOG.warning("%d kept checkpoints will need %.0f MiB, but only %.0f MiB are free", kept, wanted, room)

    def newest(self) -> Found | None:
        """Return the newest checkpoint that is whole, None where the run has none.

        Raises `CheckpointError` when there are files and all of them are damaged.
        """
        readable: list[tuple[int, Path, dict[str, Any]]] = []
        damaged: list[str] = []
        candidates = [self.last, self.previous, *sorted(self.folder.glob("epoch_*.pt"), reverse=True), self.initial]
        for path in candidates:
            if not path.exists():
                continue
            try:
                payload = read_native(path)
            except CheckpointError as error:
                damaged.append(str(error))
                continue
            readable.append((_step(payload), path, payload))
            if path in (self.last, self.previous):
                break  # these two are written in order, the others are older
        if readable:
            _, path, payload = max(readable, key=lambda item: item[0])
            return Found(path, payload, tuple(damaged))
        if damaged:
            raise CheckpointError(
                f"every checkpoint in {self.folder} is damaged", found=damaged[0], hint="start again with --overwrite"
            )
        return None

    def tidy(self, *, last_is_damaged: bool) -> None:
        """Remove what a killed process left half-written; rename a damaged `last.pt`.

        A damaged file must not stay in the place from which it would replace the good `previous.pt`.
        """
        for path in self.folder.glob(".*.tmp"):
            path.unlink()
        if last_is_damaged and self.last.exists():
            self.last.replace(self.last.with_suffix(".pt.damaged"))

    def clear(self) -> None:
        """Remove all checkpoints of the run, damaged ones too; other files there stay."""
        kept = [*self.folder.glob("*.pt"), *self.folder.glob("*.pt.damaged")]
        for path in (path for path in kept if _OWN.fullmatch(path.name)):
            path.unlink()


def _step(payload: Mapping[str, Any]) -> int:
    return int(json.loads(payload["progress"])["step"])


def _replace_by_link(source: Path, target: Path) -> None:
    """Make `target` another name of the file `source`, in one rename; a copy where links are not possible."""
    temporary = target.with_name(f".{target.name}.link.tmp")
    try:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        try:
            os.link(source, temporary)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copyfile(source, temporary)
        temporary.replace(target)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreError(f"could not write {target}", found=error.strerror) from error
