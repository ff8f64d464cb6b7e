"""Where images are looked for, and where what was learnt about them is kept."""

from __future__ import annotations

import os
from pathlib import Path


def data_root(root: Path | None = None) -> Path:
    """Return the folder of named datasets: `root`, or `$REPDIAG_DATA`, or one in the user's cache folder."""
    return Path(root or os.environ.get("REPDIAG_DATA") or "~/.cache/repdiag/data").expanduser()


def cache_folder(kind: str) -> Path:
    """Return the folder below `$REPDIAG_CACHE` (default: in the user's cache folder) for one kind of entry."""
    return Path(os.environ.get("REPDIAG_CACHE") or "~/.cache/repdiag").expanduser() / kind
