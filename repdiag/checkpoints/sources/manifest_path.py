"""Which paths are manifests, told without reading them."""

from __future__ import annotations

from pathlib import Path


def is_manifest(path: Path) -> bool:
    """Say whether a path names a list of checkpoints: no checkpoint itself, and no folder of results."""
    return path.suffix in {".yaml", ".yml"}
