"""What a pipeline reads of a command that failed: with `--json` one object on stdout, and the same exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from repdiag.cli import app, failures
from repdiag.workflows import targets


@pytest.fixture(autouse=True)
def bare_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the root's callback: the types that are checked in tests know typer's context by another class."""
    bare = typer.Typer(rich_markup_mode=None, add_completion=False)
    bare.registered_commands, bare.registered_groups = app.app.registered_commands, app.app.registered_groups
    monkeypatch.setattr(app, "app", bare)
    for name in ("interrupt_on_signals", "forget_interrupts"):  # this process goes on
        monkeypatch.setattr(app, name, lambda: None)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["repdiag", *words])
    with pytest.raises(SystemExit) as left:
        app.main()
    return left.value.code or 0


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("train", "--data", "digit"), 2, "digits"),
        (("train", "--backbone", "resnet19"), 2, "resnet18"),
        (("train", "--recipe", "moco_v3"), 2, "moco_v2"),
        (("train", "--device", "cuda:99"), 2, "no device"),
        (("analyze", "missing.pt"), 1, "no checkpoint"),
        (("analyze",), 2, "--embeddings"),
        (("metrics", "show", "uniformty"), 2, "uniformity"),
        (("nonsense",), 2, "nonsense"),
    ],
)
def test_mistakes_get_one_screen_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *words) == code
    said = capsys.readouterr().err
    assert expected in said
    assert len(said.splitlines()) <= 24
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "kind", "problem"),
    [
        (("inspect", "missing.pt"), 1, "CheckpointError", "no checkpoint"),
        (("metrics", "show", "uniformty"), 2, "UsageError", "unknown metric"),
        (("doctor", "--nonsense"), 2, "UsageError", "--nonsense"),
        (("analyze", "--embeddings", "/proc/self/mem"), 1, "DataError", "cannot read vectors"),
        (("nonsense",), 2, "UsageError", "nonsense"),
    ],
)
def test_an_error_is_json_on_stdout_and_words_on_stderr(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    kind: str,
    problem: str,
) -> None:
    assert run(monkeypatch, *words) == code
    plain = capsys.readouterr()
    assert plain.out == ""
    assert run(monkeypatch, *words, "--json") == code
    told = capsys.readouterr()
    error = json.loads(told.out)["error"]
    assert told.err == plain.err
    assert list(error) == ["kind", "problem", "found", "hint", "exit_code"]
    assert (error["kind"], error["exit_code"]) == (kind, code)
    assert problem in error["problem"]
    assert problem in told.err


@pytest.mark.parametrize(
    ("raised", "kind", "code"), [(KeyboardInterrupt(), "StoppedError", 130), (OSError(28, "full", "x"), "OSError", 1)]
)
def test_interrupts_and_the_systems_errors_are_told_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, kind: str, code: int
) -> None:
    def fail(word: str) -> None:
        raise raised

    monkeypatch.setattr(targets, "find_checkpoint", fail)
    assert run(monkeypatch, "inspect", "x.pt", "--json") == code
    told = capsys.readouterr()
    assert json.loads(told.out)["error"]["kind"] == kind
    assert told.err


def test_an_error_that_nobody_expected_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(word: str) -> None:
        raise ZeroDivisionError("of what")

    monkeypatch.setattr(targets, "find_checkpoint", fail)
    monkeypatch.setattr(sys, "argv", ["repdiag", "inspect", "x.pt", "--json"])
    with pytest.raises(ZeroDivisionError):
        app.main()
    assert json.loads(capsys.readouterr().out)["error"]["found"] == "of what"
    assert not failures.is_expected(ZeroDivisionError())


STOPPED_WHILE_IMPORTING = """
import os, signal, sys
class Stopping:
    def find_spec(name, *_):
        if name == "repdiag.cli.app":
            os.kill(os.getpid(), signal.{signal})
sys.meta_path.insert(0, Stopping)
from repdiag.__main__ import main
main()
"""


@pytest.mark.parametrize(("signal", "word"), [("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM")])
def test_a_stop_in_the_first_moments_ends_as_any_other(signal: str, word: str) -> None:
    script = STOPPED_WHILE_IMPORTING.format(signal=signal)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == f"stopped by {word}: finished results are kept, and nothing is half-written\n"
