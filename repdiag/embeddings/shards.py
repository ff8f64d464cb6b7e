"""What a set of vectors is called, whether it is a file, a folder of parts or a pattern of names."""

from __future__ import annotations

from pathlib import Path

from repdiag.embeddings.sources.folders import is_pattern
from repdiag.embeddings.sources.locations import address, is_remote


def name_of(source: Path) -> str:
    """Return what to call the vectors of a path: the folder's name for its parts, the file's without its ending."""
    if is_remote(source):
        last = [part for part in address(source).partition("?")[0].rstrip("/").split("/") if "*" not in part][-1]
        return last.rpartition(".")[0] or last
    if is_pattern(source):
        return source.parent.resolve().name
    return source.resolve().name if source.is_dir() else source.stem
