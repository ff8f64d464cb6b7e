"""Trials of a simulation that are kept, so that a long one can be made in pieces and goes on where it stopped."""

from __future__ import annotations

import ast
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Trial = Mapping[str, Any]
ROOT = Path(__file__).parents[1]


class OutOfTimeError(Exception):
    """The time given to this piece is over; what is done is kept."""


class KeptTrials:
    """One file of trials for each part of a simulation, in a folder that is named after the code that made them."""

    def __init__(self, folder: Path, *, minutes: float | None) -> None:
        self.folder = folder / code_fingerprint()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.end = None if minutes is None else time.monotonic() + 60.0 * minutes

    def run(self, part: str, trials: int, run: Callable[[int], Trial]) -> list[Trial]:
        """Return the first `trials` trials of a part, running those that are not there; trial number t is run(t)."""
        path = self.folder / f"{hashlib.sha256(part.encode()).hexdigest()[:16]}.jsonl"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        found: list[Trial] = [json.loads(line) for line in lines[:trials]]
        with path.open("a", encoding="utf-8") as file:
            for number in range(len(lines), trials):
                if self.end is not None and time.monotonic() > self.end:
                    raise OutOfTimeError(f"{part}: {number} of {trials} trials")
                found.append(run(number))
                file.write(json.dumps(found[-1]) + "\n")
                file.flush()
        return found


def code_fingerprint() -> str:
    """Return a hash of the code of the metrics and of this simulation, free of comments, docstrings and layout."""
    paths = [*(ROOT / "repdiag" / "metrics").rglob("*.py"), *(ROOT / "benchmarks").glob("coverage*.py")]
    digest = hashlib.sha256()
    for path in sorted(paths):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            first = body[0] if isinstance(body, list) and body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = ""
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:12]
