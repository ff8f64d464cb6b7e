"""`repdiag doctor`: is everything here that the commands need?"""

from __future__ import annotations

import importlib
import os
import shutil
import sys

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

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


def doctor(as_json: options.Json = False) -> None:
    """Check packages, devices, memory, disk and folders; exit 1 when something needed is missing."""
    from repdiag.core.provenance import environment
    from repdiag.embeddings.cache import cache_root

    console = Console(as_json=as_json)
    packages = {name: _try_import(name) for name in _PACKAGES}
    root = cache_root()
    report = {
        "environment": environment(),
        "packages": packages,
        "devices": _devices(),
        "cores": os.cpu_count(),
        "cache": str(root),
        "cache_free_gb": round(shutil.disk_usage(_existing(root)).free / 1e9, 1),
        "data": os.environ.get("REPDIAG_DATA", "not set"),
    }
    for name, problem in packages.items():
        console.say(f"{'ok  ' if problem is None else 'FAIL'} {name}{'' if problem is None else f': {problem}'}")
    console.say(f"ok   devices: {', '.join(_devices())}; {report['cores']} cores")
    console.say(f"ok   cache: {root} ({report['cache_free_gb']} GB free); $REPDIAG_DATA: {report['data']}")
    console.json(report)
    if any(packages.values()):
        raise typer.Exit(1)


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
