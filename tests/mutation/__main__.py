"""Change the code a little, many times, and see whether a test fails: `python -m tests.mutation --count 60`.

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

from tests.mutation.sites import mutants_of
from tests.mutation.targets import FOUND, TARGETS

ROOT = Path(__file__).parents[2]
SECONDS = 120  # of processor time: a change that lets a test run on and on is noticed


def main() -> int:
    """Try what was found once, then `--count` changes drawn by `--seed`; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=60, help="changes to draw, spread over the modules")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    _import_what_takes_long()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        copy = _copied(Path(folder) / "repository")
        known = [found for found in FOUND if not _is_noticed(copy, found[0], _replaced(*found[:3]), found[3])]
        drawn = _drawn(options.count, options.seed)
        survivors = []
        for module, mutant in drawn:
            if not _is_noticed(copy, module, mutant.source, TARGETS[module]):
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


def _copied(to: Path) -> Path:
    """Copy what the tests need, prove that they pass there, and leave bytecode behind for all that follow."""
    unwanted = shutil.ignore_patterns("__pycache__", ".*", "runs", "figures", "site", "build", "dist")
    shutil.copytree(ROOT, to, ignore=unwanted)
    for tests in dict.fromkeys((*TARGETS.values(), *(found[3] for found in FOUND))):
        if not _passes(to, tests):
            sys.exit(f"these tests fail as they are: {', '.join(tests)}")
    return to


def _replaced(module: str, old: str, new: str) -> str:
    text = (ROOT / "repdiag" / module).read_text("utf-8")
    assert text.count(old) == 1, f"{module} no longer holds once: {old}"
    return text.replace(old, new)


def _drawn(count: int, seed: int) -> list[tuple[str, object]]:
    """Draw changes of all modules in turn, until there are enough."""
    lots = random.Random(seed)
    left = {}
    for module in TARGETS:
        left[module] = mutants_of((ROOT / "repdiag" / module).read_text("utf-8"))
        lots.shuffle(left[module])
    found = []
    while len(found) < count and any(left.values()):
        found += [(module, mutants.pop()) for module, mutants in left.items() if mutants]
    return found[:count]


def _is_noticed(copy: Path, module: str, source: str, tests: tuple[str, ...]) -> bool:
    """Say whether a test fails once the module reads so; put the module back."""
    path = copy / "repdiag" / module
    before = path.read_text("utf-8")
    stamp = time.time_ns()
    try:
        path.write_text(source, "utf-8")
        os.utime(path, ns=(stamp, stamp))
        return not _passes(copy, tests)
    finally:
        path.write_text(before, "utf-8")


def _passes(copy: Path, tests: tuple[str, ...]) -> bool:
    """Run the tests in a copy of this process; say whether all pass within the time."""
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
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
