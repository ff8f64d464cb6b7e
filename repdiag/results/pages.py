"""Where a report goes: into the result that it is of, or to a file of its own, where only a report is replaced."""

from __future__ import annotations

import os
from pathlib import Path

from repdiag.core.errors import UsageError
from repdiag.core.files import write_text
from repdiag.core.folder_record import find_record
from repdiag.results.transaction import added, recover

_MARKS = (b'<meta name="generator" content="repdiag">', b"<title>repdiag: ")  # the second one is older
_HEAD = 2**16


def check_page(out: Path, *, run: Path) -> None:
    """Raise `UsageError` where `out` is there and is not a page of ours."""
    recover(run)
    if not out.exists():
        return
    record = find_record(run)
    inside = _inside(out, run)
    if inside is not None and record is not None and inside in record.files:
        return
    if not out.is_file() or not _is_page(out):
        what = "a folder" if out.is_dir() else "a file that repdiag did not write"
        raise UsageError(f"{out} is {what}", hint="choose another --out, such as report.html")


def write_page(out: Path, page: str, *, run: Path) -> Path:
    """Write the page, whole or not at all; `check_page` first."""
    inside = _inside(out, run)
    if inside is None:
        return write_text(out, page)
    with added(run, replaces=inside) as fresh:
        write_text(fresh / inside, page)
    return out


def _inside(out: Path, run: Path) -> str | None:
    place, folder = Path(os.path.realpath(out)), Path(os.path.realpath(run))
    return place.relative_to(folder).as_posix() if place.is_relative_to(folder) else None


def _is_page(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    return any(mark in head for mark in _MARKS)
