"""Names from files act on no terminal, wherever a command prints them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch
import typer
from rich.table import Table

from repdiag.cli.console import Console
from repdiag.cli.inspect import inspect
from tests.unit.checkpoints.families import resnet18

NAME = "\x1b]0;title\x07\x1b[2Jsafe \u202eyes"
SHOWN = "\\x1b]0;title\\x07\\x1b[2Jsafe \\u202eyes"


def test_lines_tables_and_logs_show_escapes(capfd: pytest.CaptureFixture[str]) -> None:
    table = Table("name", title="t")
    table.add_row(NAME)
    console = Console()
    console.say(f"left out {NAME}")
    console.table(table)
    logging.getLogger("repdiag").warning("left out %s", NAME)
    printed = capfd.readouterr()
    assert printed.out.count(SHOWN.partition("\\x07")[2]) == 2  # a bell is left out of tables altogether
    assert SHOWN in printed.err
    assert not set("\x1b\x07\u202e") & set(printed.out + printed.err)


def test_inspect_shows_a_file_and_its_names(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a\x1b[2J.pt"
    torch.save(dict(resnet18().state_dict()) | {NAME: torch.ones(1)}, path)
    with pytest.raises(typer.Exit):
        inspect(str(path))
    printed = capfd.readouterr().out
    assert "a\\x1b[2J.pt" in printed
    assert SHOWN in printed
    safe = [line for line in printed.splitlines() if line.startswith("  safe")]
    assert len(safe) == 1
    assert safe[0].startswith("  safe        yes")
    assert not set("\x1b\x07\u202e") & set(printed)
