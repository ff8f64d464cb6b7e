"""What `inspect` and `datasets` print says what it means, and what to do next."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision

from repdiag.checkpoints.sources.manifest import read_manifest
from repdiag.cli.datasets import datasets
from repdiag.cli.inspect import inspect
from repdiag.core.errors import RepdiagError


def test_a_checkpoint_that_is_read_is_ready_and_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "my net.pt"
    torch.save(torchvision.models.resnet18().state_dict(), path)
    inspect(checkpoint=str(path), mean="0.4980392156862745", std="0.5")
    said = capsys.readouterr().out
    assert "mean 0.498, 0.498, 0.498, std 0.5, 0.5, 0.5" in said
    assert "every part has the checksum that the file records (crc32)" in said
    assert f"ready       repdiag analyze '{path}' --data imagefolder:PATH" in said
    assert "branch" not in said


def test_formats_of_data_are_not_said_to_be_embedded(capsys: pytest.CaptureFixture[str]) -> None:
    datasets()
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if line.startswith("│")}
    assert [cell.strip() for cell in lines["imagefolder:PATH"].split("│")[2:4]] == ["named by path", "any"]
    assert "comes with scikit-learn" in lines["digits"]
    assert not any("embedded" in line for line in lines.values())


def test_the_size_of_a_manifest_is_a_number_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text("checkpoints:\n  - {id: a, source: a.pt, size: 1.1MB}\n")
    with pytest.raises(RepdiagError, match="number of bytes, such as 1100000"):
        read_manifest(path)
