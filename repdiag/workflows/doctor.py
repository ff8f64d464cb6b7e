"""Is everything here that the commands need: packages, devices, disk, folders."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from typing import Any

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "faiss",
    "sklearn",
    "umap",
    "matplotlib",
    "pandas",
    "pyarrow",
    "safetensors",
    "PIL",
)


def examine() -> dict[str, Any]:
    """Return what is here; `packages` maps each to what is wrong with it, None where nothing is."""
    from repdiag.core.provenance import environment
    from repdiag.embeddings.cache import cache_root

    root = cache_root()
    return {
        "environment": environment(),
        "packages": {name: _try_import(name) for name in _PACKAGES},
        "devices": _devices(),
        "cores": os.cpu_count(),
        "cache": str(root),
        "cache_free_gb": round(shutil.disk_usage(_existing(root)).free / 1e9, 1),
        "data": os.environ.get("REPDIAG_DATA", "not set"),
    }


def _try_import(name: str) -> str | None:
    try:
        importlib.import_module(name)
    except Exception as error:  # a broken wheel may raise anything; that is what this command is for
        return f"{type(error).__name__}: {error} (install repdiag again: {sys.executable} -m pip install -U repdiag)"
    return None


def _devices() -> list[str]:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return ["cpu", *(f"cuda:{index} {torch.cuda.get_device_name(index)}" for index in range(count))]


def _existing(path: os.PathLike[str]) -> str:
    from pathlib import Path

    here = Path(path)
    while not here.exists():
        here = here.parent
    return str(here)
