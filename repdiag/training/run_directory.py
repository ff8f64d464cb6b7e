"""The directory of one run: its lock, its record `run.json`, and the names of its files."""

from __future__ import annotations

import contextlib
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TextIO

from repdiag.config.training import TrainSettings
from repdiag.core.errors import RepdiagError, StoreError
from repdiag.core.files import write_json
from repdiag.core.provenance import environment
from repdiag.training.checkpoint_files import CheckpointFiles

_LOG = logging.getLogger(__name__)
SCHEMA_VERSION = 1
_LOCK = ".lock"
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
        self._was_there = path.exists()

    def __enter__(self) -> RunDirectory:
        if self.writes:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock = (self.path / _LOCK).open("w")
            except OSError as error:
                raise StoreError(f"cannot use {self.path} for a run", found=error.strerror) from error
            _lock(self._lock, self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            if error is not None and not self._was_there:
                self._leave_nothing_empty()
            self._lock.close()

    def _leave_nothing_empty(self) -> None:
        """Remove the folder that this run made, where it came to hold nothing but the lock."""
        if [path.name for path in self.path.iterdir()] == [_LOCK]:
            with contextlib.suppress(OSError):
                (self.path / _LOCK).unlink()
                self.path.rmdir()

    def clear(self) -> None:
        """Remove what a run that begins anew would take for its own: checkpoints, history, the monitor's tables."""
        try:
            self.checkpoints.clear()
            for path in (self.history, *(self.path / "monitor").glob("epoch_*.csv")):
                path.unlink(missing_ok=True)
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

    def _read_record(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self.record_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # the record tells about the run; nothing is computed from it
        return found


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
