"""Which of several processes speaks, told before any of them has met the others."""

from __future__ import annotations

import os

from repdiag.core.errors import UsageError


def is_first_process() -> bool:
    """Say whether this process writes files and talks to the user: the first one under torchrun, else the only one."""
    return os.environ.get("RANK", "0") == "0"


def process_count() -> int:
    """Return how many processes torchrun started, by WORLD_SIZE; 1 outside of it. Raises `UsageError` for no number."""
    return _whole("WORLD_SIZE", 1)


def local_rank() -> int:
    """Return this process's place on its machine, by LOCAL_RANK. Raises `UsageError` for no number."""
    return _whole("LOCAL_RANK", 0)


def local_process_count() -> int:
    """Return how many processes torchrun started on this machine, by LOCAL_WORLD_SIZE; 1 where it is not said."""
    return _whole("LOCAL_WORLD_SIZE", 1)


def _whole(name: str, otherwise: int) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return otherwise
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        hint = f"unset {name}; torchrun sets it where several processes share the work"
        raise UsageError(f"the environment variable {name} is not a number", found=text[:40], hint=hint)
    return int(text)
