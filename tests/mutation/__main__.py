"""Change the code a little, many times, and see whether a test fails: `python -m tests.mutation --count 30`.

What is drawn depends on the seed and the code alone. The tests run in copies of this process, which has imported what
takes long; the changed module lies in a copy of the repository. Exits with 1 where a change survives that a test is
known to notice; other survivors are listed, to be judged.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.mutation.sites import Mutant, count_places, mutant_at
from tests.mutation.targets import FOUND, TARGETS

ROOT = Path(__file__).parents[2]
# Of processor time: a change that lets a test run on and on is noticed.
FIRST_SECONDS, TIMES_AS_LONG, LEAST_SECONDS = 120.0, 4.0, 20.0


def main() -> int:
    """Try what was found once, then `--count` changes drawn by `--seed`; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=30, help="changes to draw, spread over the modules")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _import_what_takes_long()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = _Copy(Path(folder) / "repository")
        known = [found for found in FOUND if not copy.notices(found[0], _replaced(*found[:3]), found[3])]
        drawn = _drawn(options.count, options.seed)
        survivors = []
        for module, mutant in drawn:
            if not copy.notices(module, mutant.source, TARGETS[module]):
                survivors.append(f"repdiag/{module}:{mutant.line}: {mutant.before}  ->  {mutant.after}")
    for module, old, new, _ in known:
        print(f"NOT NOTICED, and was once: repdiag/{module}: {old.strip()}  ->  {new.strip()}")
    print(f"{len(FOUND) - len(known)} of {len(FOUND)} changes that once went unnoticed are noticed")
    print(f"{len(drawn) - len(survivors)} of {len(drawn)} drawn changes are noticed, seed {options.seed}, ", end="")
    print(f"{time.monotonic() - began:.0f} s; survivors:" if survivors else f"{time.monotonic() - began:.0f} s")
    print("\n".join(f"  {line}" for line in sorted(survivors)))
    return 1 if known else 0


def _import_what_takes_long() -> None:
    import numpy
    import pandas
    import scipy.stats
    import sklearn.cluster
    import timm
    import torch
    import torchvision

    torch.set_num_threads(1)
    del numpy, pandas, scipy, sklearn, timm, torchvision


class _Copy:
    """A copy of what the tests need, in which they pass; bytecode is left behind there for all that follow."""

    def __init__(self, to: Path) -> None:
        self.path = to
        unwanted = shutil.ignore_patterns("__pycache__", ".*", "runs", "figures", "site", "build", "dist")
        shutil.copytree(ROOT, to, ignore=unwanted)
        self.seconds: dict[tuple[str, ...], float] = {}
        for tests in dict.fromkeys((*TARGETS.values(), *(found[3] for found in FOUND))):
            before = _children_seconds()
            if not _passes(to, tests, seconds=FIRST_SECONDS):
                sys.exit(f"these tests fail as they are: {', '.join(tests)}")
            self.seconds[tests] = max(LEAST_SECONDS, TIMES_AS_LONG * (_children_seconds() - before))

    def notices(self, module: str, source: str, tests: tuple[str, ...]) -> bool:
        """Say whether a test fails once the module reads so; put the module back."""
        path = self.path / "repdiag" / module
        before = path.read_text("utf-8")
        stamp = time.time_ns()
        try:
            path.write_text(source, "utf-8")
            os.utime(path, ns=(stamp, stamp))
            return not _passes(self.path, tests, seconds=self.seconds[tests])
        finally:
            path.write_text(before, "utf-8")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _replaced(module: str, old: str, new: str) -> str:
    text = (ROOT / "repdiag" / module).read_text("utf-8")
    assert text.count(old) == 1, f"{module} no longer holds once: {old}"
    return text.replace(old, new)


def _drawn(count: int, seed: int) -> list[tuple[str, Mutant]]:
    """Draw changes of all modules in turn, until there are enough."""
    lots = random.Random(seed)
    texts = {module: (ROOT / "repdiag" / module).read_text("utf-8") for module in TARGETS}
    left = {module: list(range(count_places(text))) for module, text in texts.items()}
    for places in left.values():
        lots.shuffle(places)
    found: list[tuple[str, Mutant]] = []
    while len(found) < count and any(left.values()):
        turn = [module for module, places in left.items() if places]
        found += [(module, mutant_at(texts[module], left[module].pop())) for module in turn]
    return found[:count]


def _passes(copy: Path, tests: tuple[str, ...], *, seconds: float) -> bool:
    """Run the tests in a copy of this process; say whether all pass within the time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        limit = round(seconds)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        _run_and_leave(copy, tests)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _run_and_leave(copy: Path, tests: tuple[str, ...]) -> None:
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.chdir(copy)
    sys.path[:] = [str(copy), *(place for place in sys.path if place not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.partition(".")[0] in ("repdiag", "tests")]:
        del sys.modules[name]
    words = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of plugins that were imported before
    os._exit(int(pytest.main([*words, *(f"tests/{name}" for name in tests)])))


if __name__ == "__main__":
    sys.exit(main())
