"""Whether a word on the command line means vectors, and not a checkpoint."""

from __future__ import annotations

from pathlib import Path

from repdiag.embeddings.sources.chunked_arrays import is_lance, is_saved_dataset, is_zarr
from repdiag.embeddings.sources.folders import is_pattern
from repdiag.embeddings.sources.locations import address, is_remote
from repdiag.embeddings.sources.open_source import VECTOR_KINDS
from repdiag.embeddings.store import is_stored

# What torch, pickle and safetensors write may be either; a text may be anything.
_EITHER = (".pt", ".pth", ".pkl", ".pickle", ".safetensors", ".json", ".txt")
_ONLY_VECTORS = tuple(kind for kind in VECTOR_KINDS if kind not in _EITHER)
_MARKS_OF_CHECKPOINTS = ("run.json", "config.json", "checkpoints", "metrics.parquet", "model.safetensors")


def means_vectors(word: str | Path) -> bool:
    """Say whether a path, a pattern or an address names vectors by its ending or by what lies in the folder."""
    if is_remote(word):
        return _by_ending(address(word).partition("?")[0])
    path = Path(word).expanduser()
    if is_pattern(path) or not path.is_dir():
        return _by_ending(path.name)
    if is_stored(path) or is_zarr(path) or is_lance(path) or is_saved_dataset(path):
        return True
    if any((path / mark).exists() for mark in _MARKS_OF_CHECKPOINTS):
        return False
    names = [item.name.lower() for item in path.rglob("*") if item.is_file()]
    dumped = any("feat" in name and name.endswith((".pth", ".pt")) for name in names)
    return dumped or any(_by_ending(name) for name in names)


def _by_ending(name: str) -> bool:
    return name.lower().endswith(_ONLY_VECTORS)
