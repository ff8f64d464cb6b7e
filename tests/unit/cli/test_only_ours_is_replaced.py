"""No command writes over a folder or a file that repdiag did not write, whatever flags it is given."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer

from repdiag.cli import app

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from stored_runs import write_analysis

COMMANDS = {
    "analyze": ("analyze", "x.pt", "--out", "precious", "--overwrite"),
    "analyze vectors": ("analyze", "--embeddings", "x.npz", "--out", "precious", "--overwrite"),
    "compare": ("compare", "x.npz", "y.npz", "--out", "precious", "--overwrite"),
    "embed": ("embed", "x.pt", "--out", "precious", "--overwrite"),
    "evaluate": ("evaluate", "x.npz", "--out", "precious"),
    "figures": ("figures", "run", "--out", "precious"),
    "export": ("export", "run", "--out", "precious"),
    "report": ("report", "run", "--map", "none", "--out", "precious"),
    "report onto a file": ("report", "run", "--map", "none", "--out", "precious/thesis.tex"),
    "convert": ("convert", "x.pt", "precious/weights.safetensors", "--overwrite"),
}


@pytest.fixture
def precious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bare = typer.Typer(rich_markup_mode=None, add_completion=False)
    bare.registered_commands, bare.registered_groups = app.app.registered_commands, app.app.registered_groups
    monkeypatch.setattr(app, "app", bare)
    for name in ("interrupt_on_signals", "forget_interrupts"):  # this process goes on
        monkeypatch.setattr(app, name, lambda: None)
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.zeros(2)}, "x.pt")
    for name in ("x", "y"):
        np.savez(f"{name}.npz", features=np.eye(4), labels=np.arange(4) % 2)
    write_analysis(tmp_path / "run", "one", rows=12)
    folder = tmp_path / "precious"
    (folder / "sub").mkdir(parents=True)
    for name in ("photo.jpg", "thesis.tex", "sub/thesis.tex", "weights.safetensors"):
        (folder / name).write_text("precious")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> object:
    monkeypatch.setattr(sys, "argv", ["repdiag", *words])
    with pytest.raises(SystemExit) as left:
        app.main()
    return left.value.code


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


@pytest.mark.parametrize("name", COMMANDS)
def test_what_somebody_else_put_there_stays(
    precious: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = contents(precious.parent)
    assert run(monkeypatch, *COMMANDS[name]) == 2
    assert contents(precious.parent) == before
    said = " ".join(capsys.readouterr().err.split())
    assert "that repdiag did not write" in said or "repdiag wrote" in said or "is a folder" in said


def test_a_report_replaces_a_report_and_belongs_to_the_result(
    precious: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert run(monkeypatch, "report", "run", "--map", "none") in (None, 0)
        assert run(monkeypatch, "report", "run", "--map", "none", "--out", "page.html") in (None, 0)
    assert Path("page.html").read_bytes() == Path("run/report.html").read_bytes()
    assert list(json.loads(Path("run/run.json").read_text())["added"]) == ["report.html"]
    capsys.readouterr()
