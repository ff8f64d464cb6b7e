"""A run that is killed, at any moment and any number of times, ends with the very bits of one that was not."""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from repdiag.checkpoints.own.native import read_native

SCRIPT = Path(__file__).with_name("killed_runs.py")
KILLED = -signal.SIGKILL
# 4 makes some fifty kills with those of the other tests; 1 kills at every single event.
STRIDE = int(os.environ.get("REPDIAG_KILL_STRIDE", "4"))


@pytest.fixture(scope="module")
def run_each(tmp_path_factory):
    """Make the attempts of each run directory, in order, in children of one process; return how they ended."""
    errors = tmp_path_factory.mktemp("errors") / "stderr"
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        ) as process,
    ):

        def ask(plan):
            process.stdin.write(json.dumps({str(out): attempts for out, attempts in plan.items()}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, errors.read_text()
            assert "Traceback" not in errors.read_text(), errors.read_text()
            return {Path(name): found for name, found in json.loads(answer).items()}

        yield ask


@pytest.fixture(scope="module")
def run(run_each):
    return lambda out, attempts: run_each({out: attempts})[out]


def outcome(out):
    """The digest covers weights, momentum weights, queue, optimizer, schedules' step, meters and settings."""
    return read_native(out / "checkpoints" / "last.pt")["digest"], (out / "history.csv").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    result = run(out, [None])
    assert result["endings"] == [0]
    return outcome(out), result["events"]


def test_two_undisturbed_runs_are_equal(run, undisturbed, tmp_path):
    expected, _ = undisturbed
    run(tmp_path / "run", [None])
    assert outcome(tmp_path / "run") == expected


@pytest.mark.slow
def test_killed_at_events_all_along_a_run(run_each, undisturbed, tmp_path):
    expected, events = undisturbed
    moments = range(1, events + 1, STRIDE)
    plan = {tmp_path / f"run{moment}": [{"event": moment}, None] for moment in moments}
    found = run_each(plan)
    assert [entry["endings"] for entry in found.values()] == [[KILLED, 0]] * len(plan)
    assert [outcome(out) for out in plan] == [expected] * len(plan)


def test_killed_five_times_within_the_first_epoch(run, undisturbed, tmp_path):
    expected, _ = undisturbed
    # An attempt that resumes at step s meets the same number of events until its kill, so each gets a little further.
    result = run(tmp_path / "run", [{"event": event} for event in (6, 11, 17, 9, 14)] + [None])
    assert result["endings"] == [KILLED] * 5 + [0]
    assert outcome(tmp_path / "run") == expected


def test_killed_at_random_moments_from_outside(run, undisturbed, tmp_path):
    expected, _ = undisturbed
    chance = random.Random(0)
    plan = [{"seen": chance.randint(2, 20), "pause": chance.uniform(0, 0.003)} for _ in range(6)] + [None]
    result = run(tmp_path / "run", plan)
    assert result["endings"].count(KILLED) >= 3, result
    assert outcome(tmp_path / "run") == expected
