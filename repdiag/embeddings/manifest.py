"""The manifest of a stored set: what the set is, under a digest that covers every bit of the manifest and its key."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from repdiag.core.embedding_set import ARRAY_FIELDS
from repdiag.core.errors import StoreError
from repdiag.core.files import write_text
from repdiag.core.folder_record import SET as MANIFEST

FORMAT_VERSION = 2
_LOG = logging.getLogger(__name__)
_HEAD = re.compile(rb'\{\n  "digest": "([0-9a-f]{64})",\n')
_BLANK = "0" * 64


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write manifest.json; its digest is the SHA-256 of the file with zeros in the digest's place."""
    blank = {"digest": _BLANK, "format_version": FORMAT_VERSION, **content}
    text = json.dumps(blank, indent=2, allow_nan=False) + "\n"
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    write_text(folder / MANIFEST, text.replace(_BLANK, digest, 1))


def read_manifest(folder: Path, *, key: str | None = None) -> dict[str, Any]:
    """Return the manifest of a stored set; raises `StoreError` for one that is damaged, newer, or not the one of `key`.

    Version 1 had no digest: without a key it is read, with a note that a change in it would not be noticed.
    """
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
        manifest = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"not a stored embedding set: {folder}", found=str(error)[:200]) from error
    version = manifest.get("format_version") if isinstance(manifest, dict) else None
    if version not in (1, FORMAT_VERSION) or isinstance(version, bool):
        found = f"format version {str(version)[:20]}, this release reads 1 and {FORMAT_VERSION}"
        raise StoreError(f"cannot read the embedding set {folder}", found=found, hint="extract it again")
    if version == FORMAT_VERSION and not _is_whole(data):
        raise _damaged(path, "its digest differs")
    problem = _misshapen(manifest)
    if problem is not None:
        raise _damaged(path, problem)
    if key is not None and (version == 1 or manifest.get("key") != key):
        raise _damaged(path, "it is of version 1" if version == 1 else "it is the set of another key")
    if version == 1:
        _LOG.warning("%s is of format 1, whose manifest has no digest: `repdiag embed` makes it anew", folder)
    return {"key": None, **manifest}


def _is_whole(data: bytes) -> bool:
    head = _HEAD.match(data)
    if head is None:
        return False
    start, end = head.span(1)
    blank = data[:start] + _BLANK.encode() + data[end:]
    return hashlib.sha256(blank).hexdigest().encode() == head[1]


def _damaged(path: Path, found: str) -> StoreError:
    return StoreError(f"{path} is damaged", found=found, hint="delete the folder and extract it again")


def _misshapen(manifest: Mapping[str, Any]) -> str | None:
    """Say what is not as it must be, None where all is."""
    arrays, digests, names = (manifest.get(name) for name in ("arrays", "sha256", "class_names"))
    if not isinstance(arrays, list) or not set(map(str, arrays)) <= set(ARRAY_FIELDS) or "features" not in arrays:
        return "arrays is not a list of names of arrays"
    if not isinstance(digests, dict) or not all(isinstance(one, str) for one in digests.values()):
        return "sha256 is not a table of digests"
    wanted = {"rows.parquet", *(f"{name}.safetensors" for name in arrays)}
    if set(digests) != wanted:
        return f"it names other files than {', '.join(sorted(wanted))}"
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        return "class_names is not a list of names"
    return None if isinstance(manifest.get("provenance"), dict) else "provenance is not a table"
