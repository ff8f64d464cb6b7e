"""One result is one transaction: filled in a private folder beside its place, and put there when it is complete.

A folder that is absent or empty gets the whole in one rename. One that holds a result of ours gets it file by file
under a marker, which is a journal: run.json goes first and comes last, so that at no moment a mixture is called
complete, and what a killed process left half-way is completed from its private folder by the next one. Files that no
record lists are the user's and stay.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repdiag.core import folder_record
from repdiag.core.errors import StoreError, UsageError
from repdiag.core.files import is_full, store_error, try_to_sync_folder, write_json
from repdiag.core.folder_record import MARKER, RUN, SCHEMA_VERSION, SET, TRAIN, FolderRecord, find_record
from repdiag.core.signals import held_signals
from repdiag.core.temporary import TemporaryFolder, make_parents, remove_leftovers
from repdiag.results.swap import alone, move_whole, roll_forward, swap


def check_place(out: Path, *, overwrite: bool, again: str | None = None) -> None:
    """Raise `UsageError` unless a result may be written to `out`; complete what a killed process left half-way.

    Free are: what is not there, an empty folder, an unfinished result, a finished one of the kind `again`, and any
    finished one with `overwrite`; never a training run, and never a folder with files but without a record of ours.
    """
    recover(out)
    folder_record.refuse_strangers(out)
    record = find_record(out)
    if record is not None and record.kind == TRAIN:
        raise UsageError(f"{out} is a training run, and its checkpoints are kept", hint="choose another --out")
    if record is None or not record.is_finished:
        return
    if record.kind != again and not overwrite:
        raise UsageError(f"{out} already holds a result", hint="choose another --out, or give --overwrite")


@contextmanager
def replaced(
    out: Path, *, overwrite: bool, again: str | None = None, before: Callable[[], None] | None = None
) -> Iterator[Path]:
    """Yield a private folder to fill with a whole result, which takes the place of `out` at the end.

    The result must bring its record: run.json, to which the list of its files is added, or a stored set's manifest.
    `before` is called when all is written and nothing is in place yet. After an error `out` is as it was.
    """
    check_place(out, overwrite=overwrite, again=again)
    with _told_of(out), _beside(out) as stage:
        fresh = stage / "new"
        fresh.mkdir()
        yield fresh
        name = RUN if (fresh / RUN).is_file() else SET
        if name == RUN:
            _complete_record(fresh)
        with held_signals(), alone(_real(out)):
            check_place(out, overwrite=overwrite or _is_same(out, fresh), again=again)
            if before is not None:
                before()
            _put(out, stage, name=name, old=find_record(out), remove=True)


@contextmanager
def added(out: Path, *, replaces: str | None = None) -> Iterator[Path]:
    """Yield a private folder to fill with pages, drawings or tables that are added to the finished result in `out`.

    They are listed in its record as added, so that the next result that takes its place takes them away. `replaces`
    names a file there that no record lists and that is known to be ours.
    """
    recover(out)
    with _told_of(out), _beside(out) as stage:
        fresh = stage / "new"
        fresh.mkdir()
        yield fresh
        with held_signals(), alone(_real(out)):
            content = folder_record.read_record(out)
            digests = _digests(fresh)
            files = {path: digest for path, digest in content.get("files", {}).items() if path not in digests}
            both = {**content.get("added", {}), **digests}
            write_json(fresh / RUN, {**content, "files": files, "added": dict(sorted(both.items()))})
            _put(out, stage, name=RUN, old=find_record(out), remove=False, known=replaces)


@contextmanager
def filed(out: Path, *, run: Path, kind: str) -> Iterator[Path]:
    """Yield a private folder whose files come to `out`: into the result in `run` where `out` lies in it, else into a
    folder of the kind `kind` with a record of its own, beside what is there of that kind.
    """
    from repdiag.results.writing import write_run

    place, result = _real(out), _real(run)
    record = find_record(run)
    if place.is_relative_to(result) and record is not None and record.kind != TRAIN:
        with added(run) as fresh:
            yield _made(fresh / place.relative_to(result))
        return
    check_place(out, overwrite=False, again=kind)
    record = find_record(out)
    if record is not None and record.is_finished:
        with added(out) as fresh:
            yield fresh
        return
    with replaced(out, overwrite=False, again=kind) as fresh:
        yield fresh
        write_run(fresh, kind=kind)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def begun(out: Path, *, kind: str, overwrite: bool) -> Iterator[Callable[[], None]]:
    """Mark a folder as ours for work in several steps, each with a record of its own, that ends in `replaced(out)`.

    Yields what is to be called before the first step changes anything: from then on an older result there is not
    complete, and an error of writing says so. After an error a folder to which nothing came is removed.
    """
    check_place(out, overwrite=overwrite, again=kind)
    marker, made, retired = out / MARKER, [], []
    if find_record(out) is None:
        with _told_of(out):
            made = list(make_parents(out))
            write_json(marker, {"schema_version": SCHEMA_VERSION, "kind": kind, "files": {}})

    def retire() -> None:
        if (out / RUN).is_file():
            (out / RUN).replace(marker)
            retired.append(out)

    try:
        yield retire
    except BaseException as error:
        with held_signals(), contextlib.suppress(OSError):
            _remove_if_nothing_came(out)
            for folder in reversed(made):
                folder.rmdir()
        if retired and isinstance(error, StoreError):
            hint = f"the older result in {out} is not complete any more; free some space, and the same command goes on"
            raise StoreError(error.problem, found=error.found, hint=hint) from error
        raise


def recover(out: Path) -> None:
    """Complete a result that a killed process was putting in place, and remove what others left unfinished."""
    target = _real(out)
    if (target / MARKER).is_file():
        with held_signals(), alone(target):
            roll_forward(target)
    remove_leftovers(target)
    if target.is_dir():
        remove_leftovers(target, folder=target)


def copy_result(source: Path, out: Path) -> None:
    """Copy a whole result, with those in it, to a place that is absent or an empty folder."""
    with _told_of(out), _beside(out) as stage:
        shutil.copytree(source, stage / "new")
        with held_signals():
            move_whole(stage / "new", _real(out))


def _real(out: Path) -> Path:
    return Path(os.path.realpath(out))


def _beside(out: Path) -> TemporaryFolder:
    """Return a private folder on the file system of `out`: beside it; inside it where it is a disk of its own."""
    target = _real(out)
    own_disk = target.is_dir() and target.stat().st_dev != target.parent.stat().st_dev
    inside = own_disk or (target.is_dir() and not os.access(target.parent, os.W_OK))
    return TemporaryFolder(target, folder=target if inside else None)


@contextmanager
def _told_of(out: Path) -> Iterator[None]:
    """Name `out` in errors of writing, where the private folder means nothing to a user."""
    target = _real(out)
    private = re.compile(rf"{re.escape(str(target.parent))}/({re.escape(target.name)}/)?\.[^/]+\.tmp(/new|/old)?")
    try:
        yield
    except StoreError as error:
        cause = error.__cause__
        if private.search(error.problem) and isinstance(cause, OSError):  # nothing is in its place yet
            raise store_error(out, cause) from cause
        raise StoreError(private.sub(str(out), error.problem), found=error.found, hint=error.hint) from error
    except OSError as error:
        where = Path(str(error.filename)) if error.filename is not None else None
        if is_full(error) or (where is not None and (where in target.parents or target.parent in where.parents)):
            raise store_error(out, error) from error
        raise


def _complete_record(fresh: Path) -> None:
    content: dict[str, Any] = json.loads((fresh / RUN).read_text("utf-8"))
    whole = {**content, "schema_version": SCHEMA_VERSION, "files": _digests(fresh)}
    write_json(fresh / RUN, {**whole, "id": folder_record.identity(whole)})


def _digests(folder: Path) -> dict[str, str]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != RUN:
            with path.open("rb") as stream:
                found[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def _is_same(out: Path, fresh: Path) -> bool:
    """Say whether another process wrote the very same result meanwhile."""
    there, here = find_record(out), find_record(fresh)
    return there is not None and here is not None and there.content.get("id", 0) == here.content.get("id", 1)


def _put(
    out: Path, stage: Path, *, name: str, old: FolderRecord | None, remove: bool, known: str | None = None
) -> None:
    """Move everything from the private folder to its place."""
    target, fresh = _real(out), stage / "new"
    new = {path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()}
    listed = set() if old is None else set(old.files) | ({old.name} - {MARKER})
    foreign = sorted(path for path in new - listed - {name, known} if (target / path).exists())
    if foreign:
        shown = ", ".join(foreign[:4]) + (f" and {len(foreign) - 4} more" if len(foreign) > 4 else "")
        raise UsageError(
            f"{out} holds files that repdiag did not write, where the result must go",
            found=shown,
            hint="move them away, or choose another --out",
        )
    for folder in (fresh, *(path for path in fresh.rglob("*") if path.is_dir())):
        try_to_sync_folder(folder)
    if not target.exists() or not any(target.iterdir()):
        move_whole(fresh, target)
    else:
        kind = folder_record.find_record(fresh)
        journal = {"schema_version": SCHEMA_VERSION, "kind": None if kind is None else kind.kind, "record": name}
        gone = sorted(listed - new) if remove else []
        swap(target, stage, {**journal, "files": dict.fromkeys(sorted(listed | new)), "remove": gone})


def _remove_if_nothing_came(out: Path) -> None:
    inside = {path.name for path in out.iterdir()} if out.is_dir() else set()
    checkpoints = out / "checkpoints"
    if inside <= {MARKER, checkpoints.name} and not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        with contextlib.suppress(FileNotFoundError):
            checkpoints.rmdir()
        (out / MARKER).unlink(missing_ok=True)
