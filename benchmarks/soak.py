"""`make soak`: kills training runs until so many kills have landed, and counts the runs whose end differs by a bit.

python -m benchmarks.soak                    500 kills, in runs with 1, 2 and 5 kills an epoch
python -m benchmarks.soak --kills 100 --seconds 300

A kill is SIGKILL, either at a counted event from the inside (before or after a step, an fsync, a rename, a link, in the
middle of a checkpoint's write) or from the outside some milliseconds after one. Each run is resumed until it ends;
compared are the SHA-256 of weights, momentum weights, queue, optimizer, random state, order and step, and the bytes of
history.csv. Without a failure in n kills, at most 3 / n of kills do harm (95 %).
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
from pathlib import Path
from typing import Any

from repdiag.checkpoints.own.native import read_native

SCRIPT = Path(__file__).parents[1] / "tests" / "end_to_end" / "killed_runs.py"
KILLED = -signal.SIGKILL
EPOCHS = 3
KILLS_AN_EPOCH = (1, 2, 5)
Attempt = dict[str, Any] | None


class Runner:
    """One process whose forked children train, so that each attempt costs no imports."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=(folder / "stderr").open("w"),
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def run(self, out: Path, attempts: list[Attempt]) -> dict[str, Any]:
        """Make the attempts in the directory; return how they ended and the events of the last."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({str(out): attempts}) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())[str(out)]
        return answer

    def close(self) -> None:
        """Let the process end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def outcome(out: Path) -> tuple[str, bytes]:
    """Return the digest of everything in the last checkpoint, and the history."""
    return read_native(out / "checkpoints" / "last.pt")["digest"], (out / "history.csv").read_bytes()


def plan(chance: random.Random, *, kills: int, events: int) -> list[Attempt]:
    """Return attempts of a run that meet `kills` kills, half of them aimed at events, and one that is left alone."""
    share = max(4, events * 2 // kills)
    attempts: list[Attempt] = []
    for _ in range(kills):
        moment = chance.randint(1, share)
        inside = chance.random() < 0.5
        attempts.append({"event": moment} if inside else {"seen": moment, "pause": chance.uniform(0.0, 0.004)})
    return [*attempts, None]


def soak(*, kills: int, seconds: float, seed: int) -> tuple[dict[int, list[int]], int]:
    """Return {kills an epoch: [kills that landed, runs, runs that differ]} and the events of an undisturbed run."""
    chance, started = random.Random(seed), time.monotonic()
    counts = {each: [0, 0, 0] for each in KILLS_AN_EPOCH}
    with tempfile.TemporaryDirectory() as place:
        runner = Runner(Path(place))
        whole = Path(place) / "undisturbed"
        events = runner.run(whole, [None])["events"]
        expected = outcome(whole)
        number = 0
        while sum(count[0] for count in counts.values()) < kills and time.monotonic() - started < seconds:
            each = KILLS_AN_EPOCH[number % len(KILLS_AN_EPOCH)]
            out, number = Path(place) / f"run{number}", number + 1
            endings = runner.run(out, plan(chance, kills=each * EPOCHS, events=events))["endings"]
            counts[each][0] += endings.count(KILLED)
            counts[each][1] += 1
            counts[each][2] += endings[-1] != 0 or outcome(out) != expected
            shutil.rmtree(out)
            out.with_suffix(".events").unlink(missing_ok=True)
        runner.close()
    return counts, events


def main() -> None:
    """Soak, print the counts, and fail when a run differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=3600.0, help="stop after this long, with fewer kills")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, events = soak(kills=options.kills, seconds=options.seconds, seed=options.seed)
    for each, (landed, runs, different) in counts.items():
        print(f"{each} kills an epoch: {landed} kills landed in {runs} runs, {different} runs differ")
    landed, runs, different = (sum(column) for column in zip(*counts.values(), strict=True))
    print(f"{landed} kills in {runs} runs of {events} events, seed {options.seed}: {different} runs differ")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
