"""Whether the files of a result are those that its record lists: one put together from two results is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repdiag.core.errors import StoreError
from repdiag.core.folder_record import SET, FolderRecord, find_record, identity

_LARGEST = 2**24  # bytes; a larger file is checked when it is read, or is a picture
_DRAWINGS = (".png", ".pdf", ".svg", ".html")  # people edit them, and no number is read from them
_NEEDED = ("metrics.parquet", "verdict.json")


def check_files(folder: Path) -> None:
    """Raise `StoreError` naming the files of a finished result that are not those that it was written with.

    A file that is missing was taken away on purpose, or is named by who reads it. Arrays are checked against the
    manifest of their set when they are loaded, and the manifest here.
    """
    record = find_record(folder)
    if record is None:
        return
    wrong = [path for path, digest in record.files.items() if _differs(folder / path, path, digest)]
    if wrong:
        shown = ", ".join(wrong[:4]) + (f" and {len(wrong) - 4} more" if len(wrong) > 4 else "")
        raise StoreError(
            f"{folder} is not one result: some files are not those written with it",
            found=shown,
            hint="restore the files of the run, or run the command again with --overwrite",
        )
    _check_parts(folder, record)


def part_identities(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Return what the record of a comparison keeps of the analyses that it was made from."""
    found = {name: find_record(folder) for name, folder in folders.items()}
    return {name: None if record is None else identity(record.content) for name, record in found.items()}


def _check_parts(folder: Path, record: FolderRecord) -> None:
    parts = record.content.get("parts")
    for name, wanted in parts.items() if isinstance(parts, dict) else ():
        part = folder / "checkpoints" / str(name).replace("/", "-")
        found = find_record(part)
        if found is not None and wanted is not None and identity(found.content) != wanted:
            raise StoreError(
                f"{part} is not the analysis that the comparison in {folder} was made from",
                hint="run `repdiag compare` again: it keeps what is finished",
            )


def _differs(path: Path, name: str, digest: str | None) -> bool:
    own_manifest = name.startswith("embeddings/") and path.name != SET
    if digest is None or own_manifest or path.suffix in _DRAWINGS or name.startswith("export/"):
        return False
    if not path.is_file():
        return name in _NEEDED
    if path.stat().st_size > _LARGEST:
        return False
    return hashlib.sha256(path.read_bytes()).hexdigest() != digest
