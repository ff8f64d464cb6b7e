"""Is everything here that the commands need: packages, devices, room in the cache?"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
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


def examine_machine() -> dict[str, Any]:
    """Return what `repdiag doctor` reports; `packages` has None for each that is there, else why it is not."""
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


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
