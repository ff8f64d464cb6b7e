"""Kills commands of repdiag, and fills their disk, and counts the results that are not as they must be.

python -m benchmarks.soak_results                     100 kills, and a disk that is full from every step on
python -m benchmarks.soak_results --kills 20 --seed 1 --only analyze

Killed are analyze, compare, report, embed, convert and a download, over nothing and over an older result, half of the
times at a counted step on the file system, else after a random time. After a kill the folder must hold the older result
or the new one, or not call itself complete; after the same command again all files must be those of an undisturbed run,
and nothing else may be left. With a full disk the older result must be there, or none, and the message must say so.
Metrics are computed once and shared: what is tried is the writing.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repdiag.core.errors import RepdiagError
from repdiag.core.folder_record import find_record
from repdiag.results.verifying import check_files

SCRIPTS = Path(__file__).parents[1] / "tests" / "end_to_end"
BACKBONE = f"{SCRIPTS / 'tiny_backbone.py'}:build"
READ = ("--backbone", BACKBONE)
Tree = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One command; `older` is what writes the result that it finds in its place, `at` where its result goes."""

    argv: tuple[str, ...]
    at: str
    older: tuple[str, ...] | None = None


ANALYZE = ("analyze", "run", *READ, "--limit", "20", "--no-untrained", "--out", "out", "--overwrite")
EMBED = ("embed", "run", *READ, "--limit", "20", "--out", "out", "--overwrite")
COMPARE = ("compare", "a.npz", "b.npz", "--no-figures", "--out", "out")
CONVERTED = ("out.safetensors", *READ, "--overwrite")
CONVERT = ("convert", "run", *CONVERTED)
OLDER = ("convert", "run/checkpoints/initial.pt", *CONVERTED)
CASES = {
    "analyze": Case(argv=(*ANALYZE, "--no-figures"), at="out"),
    "analyze over an older one": Case(
        argv=(*ANALYZE, "--no-figures"), at="out", older=(*ANALYZE, "--no-figures", "--per-row", "--seed", "1")
    ),
    "analyze with figures": Case(argv=ANALYZE, at="out", older=(*ANALYZE, "--no-figures", "--seed", "1")),
    "compare": Case(argv=COMPARE, at="out"),
    "compare over an older one": Case(argv=COMPARE, at="out", older=(*COMPARE, "--seed", "1")),
    "report": Case(argv=("report", "analyzed", "--map", "pca"), at="analyzed"),
    "embed": Case(argv=EMBED, at="out"),
    "embed over an older one": Case(argv=EMBED, at="out", older=(*EMBED, "--views", "1")),
    "convert": Case(argv=CONVERT, at="out.safetensors"),
    "convert over an older one": Case(argv=CONVERT, at="out.safetensors", older=OLDER),
    "download": Case(argv=("download", "weights.pth"), at="weights.pth"),
}


class Runner:
    """The process whose forked children run the commands, so that each costs no imports."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPTS / "killed_commands.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "REPDIAG_CACHE": "cache"},
        )

    def run(self, argv: Sequence[str], folder: Path, **how: Any) -> dict[str, Any]:
        """Run one command in `folder` and return how it ended."""
        self._ask(argv, folder, how)
        return self._answer()

    def full(self, argv: Sequence[str], folder: Path, places: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Run a command with a disk that is full from each of the places on; yield how each ended."""
        self._ask(argv, folder, {"full": list(places)})
        assert self.process.stdin is not None
        while "done" not in (answer := self._answer()):
            yield answer
            self.process.stdin.write("\n")
            self.process.stdin.flush()

    def _ask(self, argv: Sequence[str], folder: Path, how: Mapping[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"argv": list(argv), "cwd": str(folder), **how}) + "\n")
        self.process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def close(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def tree(folder: Path) -> Tree:
    """Return every file below a folder, hidden ones too, and empty folders."""
    inside = sorted(folder.rglob("*"))
    return {
        path.relative_to(folder).as_posix() + "/" * path.is_dir(): b"" if path.is_dir() else path.read_bytes()
        for path in inside
    }


class Soak:
    """The prepared folders: one for each case, as it is before its command, and what an undisturbed run makes of it."""

    def __init__(self, place: Path, runner: Runner, names: Sequence[str]) -> None:
        self.place, self.runner = place, runner
        base = place / "base"
        base.mkdir()
        self._must(["train", *READ, "--epochs", "1", "--limit", "40", "--out", "run", "--set", _SMALL], base)
        for name, shift in (("a", 0.0), ("b", 0.3)):
            labels = np.arange(24) % 3
            noise = np.random.default_rng(0).normal(size=(24, 4))
            np.savez(base / f"{name}.npz", features=np.eye(3, 4)[labels] + (0.2 + shift) * noise, labels=labels)
        if "report" in names:
            self._must(["analyze", "run", *READ, "--limit", "20", "--no-untrained", "--out", "analyzed"], base)
        self.before: dict[str, Path] = {}
        self.after: dict[str, Tree] = {}
        self.steps: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        for name in names:
            self._prepare(name, CASES[name], base)

    def _prepare(self, name: str, case: Case, base: Path) -> None:
        self.before[name] = self.place / "before" / name.replace(" ", "_")
        shutil.copytree(base, self.before[name])
        if case.older is not None:
            self._must(case.older, self.before[name])
        done = self.copy(name)
        if case.argv[0] != "download":
            self._must(case.argv, done)
            done = self.copy(name)
        told = self.runner.run(case.argv, done)
        assert told["code"] == 0, told
        self.after[name], self.steps[name], self.seconds[name] = tree(done), told["steps"], told["seconds"]
        assert self.after[name] != tree(self.before[name]), f"{name}: the older result is the same"

    def _must(self, argv: Sequence[str], folder: Path) -> None:
        told = self.runner.run(argv, folder)
        assert told["code"] == 0, (argv, told)

    def copy(self, name: str) -> Path:
        """Return a folder as it is before the command of a case."""
        folder = self.place / "work" / "here"  # always the same: a result may name its files
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.before[name], folder)
        return folder

    def kill(self, name: str, chance: random.Random) -> str | None:
        """Kill the command of a case once and run it again; say what is wrong, None where nothing is."""
        case, folder = CASES[name], self.copy(name)
        aimed = chance.random() < 0.5 and self.steps[name]
        how = {"kill": chance.randint(1, self.steps[name])} if aimed else {"seconds": self._moment(name, chance)}
        told = self.runner.run(case.argv, folder, **how)
        if told["code"] not in (0, -signal.SIGKILL):
            return f"{how}: ended with {told['code']}: {told['words'][-300:]}"
        state = self.state(name, folder)
        if state is not None:
            return f"{how}: {state}"
        again = self.runner.run(case.argv, folder)
        if again["code"] != 0:
            return f"{how}: the rerun failed: {again['words'][-300:]}"
        found = tree(folder)
        wrong = sorted(path for path in {*found, *self.after[name]} if found.get(path) != self.after[name].get(path))
        return f"{how}: other than undisturbed: {wrong[:5]}" if wrong else None

    def _moment(self, name: str, chance: random.Random) -> float:
        return chance.uniform(0.0, 1.1) * self.seconds[name]

    def state(self, name: str, folder: Path) -> str | None:
        """Say what is wrong after a disturbance: what is called complete must be the old result or the new one."""
        place = CASES[name].at
        path = folder / place
        if path.is_file():
            whole = [tree(self.before[name]).get(place), self.after[name].get(place)]
            return None if path.read_bytes() in whole else f"{place} is neither the old file nor the new one"
        record = find_record(path) if path.is_dir() else None
        if record is None or not record.is_finished:
            return None
        try:
            check_files(path)
        except RepdiagError as error:
            return str(error)
        missing = [file for file in record.files if not (path / file).is_file()]
        return f"called complete without {missing[:3]}" if missing else None

    def fill(self, name: str, every: int) -> tuple[int, list[str]]:
        """Let the disk be full from every so many steps on; return the number of tries and what was wrong."""
        case, folder, wrong = CASES[name], self.copy(name), []
        before = self._without_cache(folder)
        places = range(1, self.steps[name] + 1, every)
        for told in self.runner.full(case.argv, folder, places):
            after = self._without_cache(folder)
            problem = self._of_full_disk(name, told, before, after)
            if problem is not None:
                wrong.append(f"full from step {told['place']} on: {problem}; it said {told['words'][-400:]!r}")
            if after != before:
                folder = self.copy(name)
        return len(places), wrong

    def _of_full_disk(self, name: str, told: Mapping[str, Any], before: Tree, after: Tree) -> str | None:
        """Say what is wrong after a command that met a full disk: done all the same, or failed, said so, and undone.

        A comparison keeps the checkpoints that are finished, and a download what has come, for the next try.
        """
        state = self.state(name, self.place / "work" / "here")
        if told["code"] == 0 or state is not None:
            return state
        if not _is_true(told["words"]):
            return "the message is not the one of a full disk"
        changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
        lost = [path for path in changed if path in before]
        if "untouched" in told["words"] and lost:
            return f"called untouched, but changed: {lost[:4]}"
        if "is written" in told["words"] and changed == [CASES[name].at]:
            return None
        return None if not changed or name.startswith(("compare", "download")) else f"failed and changed {changed[:4]}"

    def _without_cache(self, folder: Path) -> Tree:
        return {path: data for path, data in tree(folder).items() if not path.startswith("cache")}


_SMALL = "loop.batch_size=16"


def _is_true(words: str) -> bool:
    """Say whether a message names the full disk, once, without a traceback."""
    said = "disk is full" in words or "No space left" in words
    return said and "Traceback" not in words and ".tmp" not in words


def main() -> None:
    """Soak, print the counts, and fail when anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--every", type=int, default=1, help="fill the disk at every so many steps")
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop killing after this long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="the cases whose name begins so")
    options = parser.parse_args()
    names = [name for name in CASES if name.startswith(options.only)]
    chance, wrong = random.Random(options.seed), []
    with tempfile.TemporaryDirectory() as place:
        runner = Runner()
        soak = Soak(Path(place), runner, names)
        landed, started = Counter[str](), time.monotonic()
        while landed.total() < options.kills and time.monotonic() - started < options.seconds:
            name = names[landed.total() % len(names)]
            problem = soak.kill(name, chance)
            landed[name] += 1
            if problem is not None:
                wrong.append(f"{name}: {problem}")
                print(wrong[-1], flush=True)
        print(f"{landed.total()} kills, seed {options.seed}: {len(wrong)} wrong; {dict(landed)}", flush=True)
        for name in names:
            tries, problems = soak.fill(name, options.every)
            wrong += problems
            print(f"full disk, {name}: {tries} of {soak.steps[name]} steps, {len(problems)} wrong", *problems, sep="\n")
        runner.close()
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
