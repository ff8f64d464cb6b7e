"""history.csv: one row an interval, only values that a rerun reproduces; no clock times.

It grows by a line a time, beside the run's checkpoints, and holds numbers alone: no result's table, and no formula.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from repdiag.core.errors import StoreError
from repdiag.core.files import write_text


class History:
    """Appends rows; on resume, rows after the resumed step, and a torn last line, are dropped first."""

    def __init__(self, path: Path, *, resume_step: int, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self._columns = _truncate(path, resume_step) if writes else ()

    def append(self, row: Mapping[str, float | int]) -> None:
        """Add one row durably, so that no checkpoint is ever newer than its rows."""
        if not self.writes:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._columns:
            self._columns = tuple(row)
            writer.writerow(self._columns)
        writer.writerow([repr(row[name]) for name in self._columns])
        try:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write(text.getvalue())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise StoreError(f"could not write {self.path}", found=error.strerror) from error


def read_history(path: Path) -> list[dict[str, float]]:
    """Return the rows as numbers."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(stream)]


def _truncate(path: Path, step: int) -> tuple[str, ...]:
    if not path.exists():
        return ()
    whole_lines = path.read_text(encoding="utf-8", errors="replace").rpartition("\n")[0].splitlines()
    if not whole_lines or step == 0:
        path.unlink()
        return ()
    try:
        kept = [line for line in whole_lines[1:] if int(line.partition(",")[0]) <= step]
    except ValueError as error:
        raise StoreError(
            f"{path} was changed after it was written",
            found=str(error),
            hint="move it away: the run continues without it",
        ) from error
    write_text(path, "\n".join([whole_lines[0], *kept]) + "\n")
    return tuple(whole_lines[0].split(","))
