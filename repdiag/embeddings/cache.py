"""Content-addressed cache of embedding sets: the key names everything that the values depend on, and nothing else."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.errors import StoreError
from repdiag.core.temporary import remove_leftovers, temporary_name
from repdiag.embeddings.store import load_embedding_set, save_embedding_set

log = logging.getLogger(__name__)


def cache_root() -> Path:
    """Return `$REPDIAG_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("REPDIAG_CACHE")
    return Path(chosen).expanduser() if chosen else Path("~/.cache/repdiag").expanduser()


@dataclass(frozen=True)
class EmbeddingCache:
    """Embedding sets under one folder, found by content key; damaged entries are made again."""

    root: Path

    @staticmethod
    def key(parts: Mapping[str, object]) -> str:
        """Return the SHA-256 of the sorted parts. Batch size, device and worker count must not be among them."""
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("utf-8")).hexdigest()

    def get_or_make(
        self, key: str, make: Callable[[], EmbeddingSet], *, agree: Callable[[bool], bool] = bool
    ) -> EmbeddingSet:
        """Return the stored set for `key`, or make and store it. A damaged entry is removed, named, and made again.

        `agree` tells whether all processes that share the work have found theirs: they make it together or not at all.
        """
        folder = self.root / "embeddings" / key[:2] / key
        remove_leftovers(folder)
        found = self._stored(folder, key)
        if agree(found is not None) and found is not None:
            return found
        made = make()
        try:
            save_embedding_set(made, folder, key=key)
        except (StoreError, OSError) as error:
            log.warning("embeddings could not be cached (the result is not affected): %s", error)
        return made

    def _stored(self, folder: Path, key: str) -> EmbeddingSet | None:
        if not folder.exists():
            return None
        try:
            return load_embedding_set(folder, key=key)
        except StoreError as error:
            log.warning("cached embeddings are extracted again: %s (%s)", error.problem, error.found)
            _remove(folder)
            return None


def _remove(entry: Path) -> None:
    """Take an entry away in one step, so that nobody meets a part of it, and delete it then."""
    away = temporary_name(entry)
    try:
        entry.rename(away)
    except OSError:
        away = entry  # another process was faster, or the cache is read-only
    shutil.rmtree(away, ignore_errors=True)
