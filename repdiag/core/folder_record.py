"""What a folder of ours says of itself: its record names the kind of result and every file that belongs to it.

A folder is ours when it holds run.json (of an analysis, a comparison, a training ...), the manifest.json of a stored
set, or the marker of a write that was begun. Only what such a record lists is ever replaced or deleted.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdiag.core.errors import StoreError, UsageError
from repdiag.core.signals import held_signals

RUN = "run.json"
SET = "manifest.json"
MARKER = ".repdiag-unfinished.json"
SCHEMA_VERSION = 2
TRAIN = "train"
_STRAY = frozenset({".DS_Store", "Thumbs.db", "desktop.ini", ".lock"})  # of desktops, and of a run of an older version
_SHOWN = 4


@dataclass(frozen=True, kw_only=True)
class FolderRecord:
    """The record of one folder: its file, the kind of result, and its files with their SHA-256 (None: not known)."""

    name: str
    kind: str
    files: Mapping[str, str | None]
    content: Mapping[str, Any]

    @property
    def is_finished(self) -> bool:
        """Whether the record says that the result is complete."""
        return self.name != MARKER


def find_record(folder: Path) -> FolderRecord | None:
    """Return the record of a folder; None where it is not ours. Raises `StoreError` for one of a newer version."""
    content = _json(folder / RUN)
    if isinstance(content, dict) and "kind" in content and isinstance(content.get("schema_version"), int):
        content = upgraded(folder, content)
        files = {**_inside(content.get("files")), **_inside(content.get("added"))}
        return FolderRecord(name=RUN, kind=str(content["kind"]), files=files, content=content)
    content = _json(folder / SET)
    if isinstance(content, dict) and {"format_version", "sha256", "arrays"} <= set(content):
        return FolderRecord(name=SET, kind="embed", files=_inside(content["sha256"]), content=content)
    content = _json(folder / MARKER)
    if isinstance(content, dict) and "files" in content:
        files = {**_inside(content["files"]), **_inside(content.get("added"))}
        return FolderRecord(name=MARKER, kind=str(content.get("kind")), files=files, content=content)
    return _figures_of_version_1(folder)


def read_record(folder: Path) -> dict[str, Any]:
    """Return run.json as this version writes it; raises `StoreError` where there is none, or one of a newer version."""
    path = folder / RUN
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        unfinished = (folder / MARKER).exists()
        hint = "it was stopped: run the same command again" if unfinished else "did the run finish?"
        raise StoreError(f"cannot read {path}", found=cause, hint=hint) from error
    if not isinstance(content, dict):
        raise StoreError(f"cannot read {path}", found=f"a {type(content).__name__} instead of an object")
    return upgraded(folder, content)


def upgraded(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Return a record as this version writes it. Version 1 had no list of files: it is made from what is there."""
    version = content.get("schema_version", 1)
    if version == SCHEMA_VERSION:
        return content
    if version != 1:
        found = f"schema version {version}, this release reads 1 to {SCHEMA_VERSION}"
        raise StoreError(f"cannot read the result in {folder}", found=found, hint="install a newer repdiag")
    return {**content, "schema_version": SCHEMA_VERSION, "files": dict.fromkeys(_files_of_version_1(folder))}


def identity(record: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a record without what can be made again: pages, exports and drawings."""
    files = {path: digest for path, digest in record.get("files", {}).items() if not path.startswith("figures/")}
    kept = {name: value for name, value in record.items() if name not in ("added", "id")} | {"files": files}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode("utf-8")).hexdigest()


def strangers(folder: Path) -> list[str]:
    """Return the names in a folder that is not ours, those of folders with a slash; none where it is ours, or empty."""
    if not folder.is_dir() or find_record(folder) is not None:
        return []
    inside = [path for path in sorted(folder.iterdir()) if path.name not in _STRAY and not _is_temporary(path.name)]
    return [path.name + "/" * path.is_dir() for path in inside]


def refuse_strangers(folder: Path) -> None:
    """Raise `UsageError` for a folder that holds anything and is not ours."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder", hint="choose another --out")
    found = strangers(folder)
    if found:
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UsageError(
            f"{folder} holds files that repdiag did not write",
            found=", ".join(found[:_SHOWN]) + more,
            hint="choose another --out; only a result of repdiag can be replaced, with --overwrite too",
        )


def forget(folder: Path) -> None:
    """Delete a result: its record first, then the files that it lists; what is not listed stays, and any training."""
    record = find_record(folder)
    if record is None or record.kind == TRAIN:
        return
    with held_signals():
        for path in (record.name, *record.files, MARKER):
            (folder / path).unlink(missing_ok=True)
        remove_empty(folder, record.files)
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove_empty(folder: Path, files: Iterable[str]) -> None:
    """Remove the folders in which those files were, where they hold nothing any more."""
    inside = {parent for path in files for parent in (folder / path).parents if folder in parent.parents}
    for one in sorted(inside, key=lambda path: -len(path.parts)):
        with contextlib.suppress(OSError):
            one.rmdir()


def _inside(files: Any) -> dict[str, str | None]:
    """Return a record's files; a name that leads out of the folder is none of them."""
    named = files.items() if isinstance(files, dict) else ()
    safe = ((path, digest) for path, digest in named if not {"..", ""} & set(path.split("/")) and "\\" not in path)
    return {path: None if digest is None else str(digest) for path, digest in safe}


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError, RecursionError):
        return None


def _files_of_version_1(folder: Path) -> list[str]:
    """Return what version 1 wrote into a folder, by name."""
    tables = ("metrics.csv", "metrics.parquet", "verdict.json", "per_class.parquet", "per_row.parquet")
    joined = ("common_dimension.csv", "paired_tests.csv", "class_changes.csv")
    shown = ("thumbnails.webp", "thumbnails.json", "report.html")
    found = [folder / name for name in (*tables, *joined, *shown)]
    found += [path for path in folder.glob("figures/*.*") if _is_figure(path)]
    found += [path for split in ("train", "val") for path in folder.glob(f"export/*-{split}.*")]
    for name in ("vectors.tsv", "metadata.tsv", "projector_config.pbtxt"):
        found += folder.glob(f"export/*/{name}")
    for stored in folder.glob("embeddings/*"):
        record = find_record(stored)
        if record is not None and record.name == SET:
            found += [stored / SET, *(stored / name for name in record.files)]
    return sorted(path.relative_to(folder).as_posix() for path in found if path.is_file())


def _figures_of_version_1(folder: Path) -> FolderRecord | None:
    """Return what stands for the record of a training's figures, which version 1 drew without one."""
    if folder.name != "figures" or not folder.is_dir() or _json(folder.parent / RUN) is None:
        return None
    files = [path.name for path in folder.iterdir()]
    if not files or not all(map(_is_figure, folder.iterdir())):
        return None
    return FolderRecord(name=MARKER, kind="figures", files=dict.fromkeys(files), content={})


def _is_figure(path: Path) -> bool:
    """A figure is always written in four kinds."""
    return all(path.with_suffix(f".{kind}").is_file() for kind in ("png", "pdf", "svg", "csv"))
