"""Which encoder of a file: names that mean the same, and the family's own default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from repdiag.core.errors import unknown_name

TRAINED = frozenset({"online", "query", "student", "base"})
FOLLOWING = frozenset({"momentum", "key", "teacher", "ema", "target"})
BRANCH_NAMES = tuple(sorted(TRAINED | FOLLOWING))


def choose(wanted: str | None, present: Sequence[str], *, path: Path) -> str:
    """Return the branch that was asked for, by its own name or another of its kind; without a wish the first."""
    if wanted is None or wanted in present:
        return wanted or present[0]
    for kind in (TRAINED, FOLLOWING):
        alike = [name for name in present if name in kind]
        if wanted in kind and len(alike) == 1:
            return alike[0]
    raise unknown_name(f"branch of {path.name}", wanted, present)
