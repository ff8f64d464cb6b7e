"""Where a set of embeddings came from: enough to make it again."""

from __future__ import annotations

import functools
import hashlib
import platform
import subprocess
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from repdiag.core.reading_notes import ReadingNotes
from repdiag.core.version import __version__

UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Identity of the encoder, the rows and the views behind one `EmbeddingSet`.

    Example:
        >>> import repdiag
        >>> repdiag.Provenance(checkpoint="small", dataset="digits", split="val").checkpoint
        'small'
    """

    checkpoint: str = UNKNOWN
    checkpoint_sha256: str = UNKNOWN
    epoch: int | None = None
    backbone: str = UNKNOWN
    layer: str = UNKNOWN
    dataset: str = UNKNOWN
    split: str = UNKNOWN
    dataset_fingerprint: str = UNKNOWN
    transform: str = UNKNOWN
    views_seed: int | None = None
    dtype: str = "float32"
    repdiag_version: str = __version__
    reading: ReadingNotes = field(default_factory=ReadingNotes)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Provenance:
        """Rebuild from `to_dict`; fields of a newer version are ignored."""
        known = {one.name for one in fields(cls)}
        given = {key: value for key, value in values.items() if key in known}
        if isinstance(given.get("reading"), dict):
            given["reading"] = ReadingNotes.from_dict(given["reading"])
        return cls(**given)


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@functools.lru_cache(maxsize=1)
def git_commit() -> str | None:
    """Return the commit of the working directory's git checkout, with `+changes`; None outside of one."""
    try:
        head = _git("rev-parse", "HEAD")
        return head + ("+changes" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()


def environment() -> dict[str, str | None]:
    """Return the versions that a result depends on."""
    from importlib.metadata import PackageNotFoundError, version

    found: dict[str, str | None] = {"python": platform.python_version(), "platform": platform.platform()}
    for package in (
        "repdiag",
        "torch",
        "torchvision",
        "timm",
        "numpy",
        "scikit-learn",
        "faiss-gpu",
        "faiss-cpu",
        "pillow",
        "simplejpeg",
    ):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    found["git_commit"] = git_commit()
    return found
