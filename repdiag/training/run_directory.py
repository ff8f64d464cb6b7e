"""The directory of one run: its lock, its record `run.json`, and the names of its files."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from repdiag.config.training import TrainSettings
from repdiag.core.errors import RepdiagError, StoreError, UsageError
from repdiag.core.files import write_json
from repdiag.core.folder_record import MARKER, SCHEMA_VERSION, TRAIN, find_record, forget, refuse_strangers
from repdiag.core.provenance import environment
from repdiag.core.temporary import make_parents
from repdiag.training.checkpoint_files import CheckpointFiles

_LOG = logging.getLogger(__name__)
_LOCK = ".lock"
_OWN = frozenset({"checkpoints", "history.csv", "monitor", "analysis", "embeddings", "tensorboard", _LOCK})
Status = Literal["running", "completed", "interrupted", "failed"]


class RunDirectory:
    """Context manager that keeps two processes from training in one directory."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.writes = writes
        self.checkpoints = CheckpointFiles(path)
        self.history = path / "history.csv"
        self.record_path = path / "run.json"
        self.record: dict[str, Any] = {}
        self._lock: TextIO | None = None
        self._made: list[Path] = []

    def __enter__(self) -> RunDirectory:
        if self.writes:
            self._refuse_others()
            try:
                for folder in make_parents(self.path):
                    self._made.append(folder)
                self._lock = _locked(self.path)
                if find_record(self.path) is None:
                    write_json(self.path / MARKER, {"schema_version": SCHEMA_VERSION, "kind": TRAIN, "files": {}})
            except BaseException as error:
                self.__exit__(type(error), error, error.__traceback__)  # nothing is kept of a run that did not begin
                if isinstance(error, OSError):
                    raise StoreError(f"cannot use {self.path} for a run", found=error.strerror) from error
                raise
        return self

    def _refuse_others(self) -> None:
        """Raise `UsageError` for a folder of somebody, or one with a result that is no training."""
        record = None if any((self.path / "checkpoints").glob("*.pt")) else find_record(self.path)
        if record is not None and record.kind != TRAIN:
            found = f"kind {record.kind} in its {record.name}"
            raise UsageError(
                f"{self.path} is not the directory of a training run", found=found, hint="choose another --out"
            )
        if not self._has_lost_its_record():
            refuse_strangers(self.path)

    def _has_lost_its_record(self) -> bool:
        """Say whether a folder is a run all the same: it holds what a run writes, a checkpoint of ours, and no more."""
        names = {found.name for found in self.path.iterdir()} if self.path.is_dir() else set()
        if not names <= _OWN or "checkpoints" not in names:
            return False
        with contextlib.suppress(RepdiagError):
            return self.checkpoints.newest() is not None
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                if {path.name for path in self.path.iterdir()} <= {_LOCK, MARKER}:
                    (self.path / MARKER).unlink(missing_ok=True)
                (self.path / _LOCK).unlink()
                for folder in reversed(self._made):
                    folder.rmdir()  # it came to hold nothing
            self._lock.close()

    def clear(self) -> None:
        """Remove what a run that begins anew would take for its own: checkpoints, history, the monitor's tables."""
        try:
            if self.record_path.is_file():
                self.record_path.replace(self.path / MARKER)  # from here on nobody takes it for the old run
            self.checkpoints.clear()
            for path in (self.history, *(self.path / "monitor").glob("epoch_*.csv")):
                path.unlink(missing_ok=True)
            for made in (*(self.path / "analysis").glob("*"), *(self.path / "embeddings").glob("*")):
                forget(made)  # it is of the old weights
        except OSError as error:
            raise StoreError(f"cannot clear {self.path} for a new run", found=error.strerror) from error

    def begin(self, settings: TrainSettings, *, step: int, facts: dict[str, Any]) -> None:
        """Write `run.json` for a run that starts, or goes on, at `step`."""
        old = self._read_record() if step else {}
        starts = [*old.get("starts", []), {"step": step, "time": _now()}]
        self.record = {
            "schema_version": SCHEMA_VERSION,
            "kind": "train",
            "status": "running",
            "step": step,
            "starts": starts,
            **facts,
            "config": settings.model_dump(mode="json"),
            "environment": environment(),
        }
        self._write_record()

    def end(self, status: Status, *, step: int, problem: str | None = None) -> None:
        """Write how the run ended."""
        self.record |= {"status": status, "step": step, "ended": _now()} | ({"problem": problem} if problem else {})
        if status == "failed":
            with contextlib.suppress(RepdiagError):  # the disk may be what failed; the first error is the one to show
                self._write_record()
        else:
            self._write_record()

    def _write_record(self) -> None:
        if self.writes and self.record.get("config"):
            write_json(self.record_path, self.record)
            (self.path / MARKER).unlink(missing_ok=True)

    def _read_record(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.record_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # the record tells about the run; nothing is computed from it
        return found


def _locked(path: Path) -> TextIO:
    """Return the lock of a run, which its last holder may be removing at this moment."""
    while True:
        stream = (path / _LOCK).open("w")
        _lock(stream, path)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(stream.fileno()).st_ino == (path / _LOCK).stat().st_ino:
                return stream
        stream.close()


def _lock(stream: TextIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return  # no such lock on this system
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.close()
        raise StoreError(
            f"another process is training in {path}", hint="wait for it, or choose another --out"
        ) from error
    except OSError as error:  # some network disks know no locks; two runs in one directory are then not noticed
        _LOG.warning("%s is not locked against a second run: %s", path, error.strerror)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
