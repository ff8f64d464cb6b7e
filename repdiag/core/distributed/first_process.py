"""Which of several processes speaks, told before any of them has met the others."""

from __future__ import annotations

import os


def is_first_process() -> bool:
    """Say whether this process writes files and talks to the user: the first one under torchrun, else the only one."""
    return os.environ.get("RANK", "0") == "0"
