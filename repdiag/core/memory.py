"""How much memory there is to be had, how much some work takes, and whether it ran out."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import torch

_MEMINFO = Path("/proc/meminfo")
_STATUS, _FORGET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # numbers that glibc's mallopt knows them by
_THE_PEAK = "5"  # what Linux takes there for "forget the largest resident size so far"
# On a CPU torch has no kind of error of its own for it: "DefaultCPUAllocator: can't allocate memory", or "not enough".
_SAID = ("DefaultCPUAllocator", "allocate memory")


def available_memory() -> int:
    """Return how many bytes of memory can be had without swapping; what caches files counts as free."""
    if _MEMINFO.is_file():
        for line in _MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def keep_freed_memory() -> None:
    """Let this process keep memory that it frees, up to 2 GiB, to use it again; otherwise every pass fetches it anew.

    With glibc alone; tensors beyond 32 MiB are always given back.
    """
    try:
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 32 << 20)
        library.mallopt(_TRIM_THRESHOLD, (1 << 31) - 1)
    except (AttributeError, OSError, TypeError):  # no glibc
        return


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that no memory was found, on whatever device."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in str(error) for words in _SAID)


def memory_taken(work: Callable[[], object]) -> int | None:
    """Run something, and return by how many bytes the process grew at most meanwhile; None where no system says it.

    What was freed before is given back to the system first, so that work does not hide in it. Linux alone tells.
    """
    give_back_what_is_free()
    try:
        _FORGET.write_text(_THE_PEAK, "ascii")
        before, peak = _resident("VmRSS:"), _resident("VmHWM:")
    except (OSError, ValueError):
        before = peak = None
    work()
    if before is None or peak is None or peak > 1.05 * before:  # a system that takes the order and does not obey
        return None
    after = _resident("VmHWM:")
    return None if after is None else max(0, after - before)


def _resident(name: str) -> int | None:
    for line in _STATUS.read_text("ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return None


def give_back_what_is_free() -> None:
    """Let the system have the memory that this process has freed and holds, where its C library can do that."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # no glibc
        return
