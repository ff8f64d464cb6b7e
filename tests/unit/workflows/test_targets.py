"""What a word on the command line may stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repdiag.cli.console import Console
from repdiag.core.errors import CheckpointError
from repdiag.workflows.targets import find_checkpoint, find_checkpoints


def test_pipes_devices_and_dangling_links_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "link.pt").symlink_to("gone.pt")
    for path, word in ((tmp_path / "pipe.pt", "regular"), (Path("/dev/zero"), "regular"),
                       (tmp_path / "link.pt", "broken link")):  # fmt: skip
        with pytest.raises(CheckpointError, match=word):
            find_checkpoint(str(path))


def test_results_beside_the_runs_are_left_out_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("run/checkpoints/last.pt", "run/run.json", "compare/metrics.parquet", "analysis/small/metrics.parquet",
                 "embeddings/small-val/rows.parquet", "compare/checkpoints/run/run.json"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    words = sorted(map(str, tmp_path.iterdir()))
    found = find_checkpoints(words, only=None, download=False, told=Console())
    assert [target.name for target in found.here] == ["run"]
    said = capsys.readouterr().out
    assert all(f"left out {tmp_path / name}" in said for name in ("analysis", "compare", "embeddings"))
    with pytest.raises(CheckpointError):
        find_checkpoints([str(tmp_path / "compare")], only=None, download=False, told=Console())
