"""`repdiag report MANIFEST` compares what is left to compare, then writes the page of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from repdiag.cli import report
from repdiag.workflows import compare
from repdiag.workflows import report as build


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_manifest_is_compared_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], unreadable: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[str, dict[str, Any]]] = []

    def compared(manifest: Path, *, told: Any, **settings: Any) -> SimpleNamespace:
        asked.append((str(manifest), settings))
        return SimpleNamespace(folder=Path("runs") / "mine", failures={"gone": "cannot be read"} if unreadable else {})

    def built(run: Path, out: Path, **_settings: Any) -> Path:
        asked.append((str(run), {}))
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("page")
        return out

    monkeypatch.setattr(compare, "compare_manifest", compared)
    monkeypatch.setattr(build, "build_report", built)

    def call() -> None:
        report.report(Path("mine.yaml"), data="digits", limit=40)

    if unreadable:
        with pytest.raises(typer.Exit) as left:
            call()
        assert left.value.exit_code == 1
    else:
        call()
    (first, settings), (second, _) = asked
    assert (first, second) == ("mine.yaml", str(Path("runs") / "mine"))
    assert (settings["data"], settings["limit"]) == ("digits", 40)
    assert "report.html" in capsys.readouterr().out
