"""Trials of a simulation that are kept, so that a long one can be made in pieces and goes on where it stopped."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Trial = Mapping[str, Any]
ROOT = Path(__file__).parents[1]


class OutOfTimeError(Exception):
    """The time given to this piece is over; what is done is kept."""


class KeptTrials:
    """Files of trials for each part of a simulation, named after the part and the code that its trials run.

    With a share, (2, 3) say, only every third trial is run here, beginning with the second, and written to a file of
    its own: so that processes, or machines whose files are put together afterwards, divide a simulation between them.
    """

    def __init__(
        self, folder: Path, *, minutes: float | None, only_kept: bool = False, share: tuple[int, int] = (1, 1)
    ) -> None:
        self.folder, self.only_kept, self.share = folder, only_kept, share
        self.folder.mkdir(parents=True, exist_ok=True)
        self.end = None if minutes is None else time.monotonic() + 60.0 * minutes

    def run(self, part: str, trials: int, run: Callable[[int], Trial], *, modules: Iterable[str]) -> list[Trial]:
        """Return the first `trials` trials of a part that are there, after running those of this share that are not.

        Trial number t is run(t). `modules` are those whose code, and whatever of the metrics they import, makes the
        trials: a change to it makes all of them anew, a change elsewhere leaves them.
        """
        name = f"{hashlib.sha256(part.encode()).hexdigest()[:16]}-{code_fingerprint(modules)}"
        found = {number: trial for number, trial in self._read(name) if number < trials}
        place, shares = self.share
        missing = [number for number in range(place - 1, trials, shares) if number not in found]
        if missing and not self.only_kept:
            with (self.folder / f"{name}-{place}-of-{shares}.jsonl").open("a", encoding="utf-8") as file:
                for number in missing:
                    if self.end is not None and time.monotonic() > self.end:
                        raise OutOfTimeError(f"{part}: {len(found)} of {trials} trials")
                    found[number] = run(number)
                    file.write("\n" + json.dumps([number, found[number]]))
                    file.flush()
        return [found[number] for number in sorted(found)]

    def _read(self, name: str) -> Iterator[tuple[int, Trial]]:
        """Yield all kept trials of one name; a line that a killed process left unfinished counts as not run."""
        for path in self.folder.glob(f"{name}-*.jsonl"):
            for line in path.read_text("utf-8").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    if line:
                        number, trial = json.loads(line)
                        yield number, trial


def code_fingerprint(modules: Iterable[str]) -> str:
    """Return a hash of the modules and of what they import of the metrics, free of comments, docstrings and layout."""
    left, known = list(modules), dict[str, ast.Module]()
    while left:
        name = left.pop()
        if name in known or (path := _path_of(name)) is None:
            continue
        known[name] = ast.parse(path.read_text("utf-8"))
        left += _imported(known[name])
    digest = hashlib.sha256()
    for name in sorted(known):
        digest.update(name.encode())
        digest.update(_code(known[name]))
    return digest.hexdigest()[:12]


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names of all modules that may be imported here, those within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _path_of(module: str) -> Path | None:
    """Return the file of a module of the metrics or of the simulation, None for any other name."""
    if not module.startswith(("repdiag.metrics.", "benchmarks.coverage")):
        return None
    path = ROOT / module.replace(".", "/")
    places = (path.with_suffix(".py"), path / "__init__.py")
    return next((place for place in places if place.exists()), None)


def _code(tree: ast.Module) -> bytes:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            first.value.value = ""
    return ast.unparse(tree).encode()  # unlike a dump, the same in every version of Python
