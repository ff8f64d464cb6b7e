"""What a word on the command line may stand for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repdiag.cli.targets import find_checkpoint
from repdiag.core.errors import CheckpointError


def test_pipes_devices_and_dangling_links_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "link.pt").symlink_to("gone.pt")
    for path, word in ((tmp_path / "pipe.pt", "regular"), (Path("/dev/zero"), "regular"),
                       (tmp_path / "link.pt", "link to nothing")):  # fmt: skip
        with pytest.raises(CheckpointError, match=word):
            find_checkpoint(str(path))
