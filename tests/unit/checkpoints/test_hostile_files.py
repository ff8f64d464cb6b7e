"""No file runs anything: each one, in a child process, leaves no canary and nothing for the audit hook to see."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.checkpoints import bombs, hostile

SCRIPT = Path(__file__).with_name("read_in_child.py")


def write_all(folder: Path, files: Iterable[tuple[str, bytes]]) -> int:
    folder.mkdir()
    count = 0
    for name, content in files:
        (folder / name).write_bytes(content)
        count += 1
    assert len(list(folder.iterdir())) == count
    return count


def report_on(folder: Path, *, how: str = "read") -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(SCRIPT), str(folder), how], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def hostile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hostile")
    canary = str(root / "canary")
    files = [*hostile.gadget_files(canary), *hostile.opcode_files(canary), *hostile.layout_files(canary)]
    assert write_all(root / "files", files) >= 600
    return root


@pytest.mark.slow
def test_no_hostile_file_executes_anything(hostile_folder: Path) -> None:
    report = report_on(hostile_folder / "files")
    assert not (hostile_folder / "canary").exists()
    assert {name: row for name, row in report.items() if row[3]} == {}
    # A few hold a foreign class and nothing that is called: they read as inert placeholders, and are no encoder.
    assert {name: row[0] for name, row in report.items() if row[0] not in ("refused", "read")} == {}
    harmless = [name for name, row in report.items() if row[0] == "read"]
    assert len(harmless) < 0.04 * len(report), harmless


@pytest.mark.slow
def test_loading_a_hostile_file_as_an_encoder_executes_nothing(hostile_folder: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    for path in sorted((hostile_folder / "files").iterdir())[::6]:
        (chosen / path.name).write_bytes(path.read_bytes())
    report = report_on(chosen, how="load")
    assert not (hostile_folder / "canary").exists()
    assert {row[0] for row in report.values()} == {"refused"}


def test_the_canary_shows_an_execution_where_there_is_one(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    program = hostile.archive(hostile.call("os.system", f"touch {canary}", protocol=2))
    path = tmp_path / "evil.pt"
    path.write_bytes(program)
    torch.load(path, weights_only=False)
    assert canary.exists()


@pytest.mark.slow
def test_no_bomb_takes_time_or_memory(tmp_path: Path) -> None:
    assert write_all(tmp_path / "bombs", bombs.files()) >= 150
    report = report_on(tmp_path / "bombs")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "bombs").iterdir()}
    assert {name: row[0] for name, row in report.items() if row[0].startswith("leaked")} == {}
    greedy = {name: row[2] for name, row in report.items() if row[2] > 2 * sizes[name] + 256 * 2**20}
    assert greedy == {}
    harmful = {name for name, row in report.items() if row[0] != "refused" and not name.startswith("legal-")}
    assert harmful == set()
