"""How much memory there is to be had, and whether it ran out."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
# On a CPU torch has no kind of error of its own for it: "DefaultCPUAllocator: can't allocate memory", or "not enough".
_SAID = ("DefaultCPUAllocator", "allocate memory")


def available_memory() -> int:
    """Return how many bytes of memory can be had without swapping; what caches files counts as free."""
    if _MEMINFO.is_file():
        for line in _MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that no memory was found, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in _SAID)
