"""Programs of ExecuTorch: run where its extra is installed, and a clear message elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import repdiag
from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.core.errors import CheckpointError, DependencyError

SIZE = 12


@pytest.mark.parametrize("name", ["net.pte", "net.bin"])
def test_without_the_extra_it_says_what_to_install(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x00\x00\x00\x00ET12" + bytes(64))
    monkeypatch.setitem(sys.modules, "executorch", None)
    for read in (repdiag.load_encoder, inspect_checkpoint):
        with pytest.raises(DependencyError, match=r"repdiag\[executorch\]"):
            read(path)


@pytest.mark.filterwarnings("ignore")  # torch's exporter announces its own replacements
def test_a_program_gives_what_torch_gives(tmp_path: Path) -> None:
    exir = pytest.importorskip("executorch.exir", reason="the extra repdiag[executorch] is not installed")
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    program = torch.export.export(network, (torch.zeros(1, 3, SIZE, SIZE),))
    path = tmp_path / "net.pte"
    path.write_bytes(exir.to_edge_transform_and_lower(program).to_executorch().buffer)
    encoder, images = repdiag.load_encoder(path), torch.randn(3, 3, SIZE, SIZE)
    assert (encoder.info.family, encoder.info.image_size) == ("pte", SIZE)
    assert any("ExecuTorch" in note for note in encoder.info.notes)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(images), network(images), atol=1e-4, rtol=0)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="ExecuTorch does not take"):
        repdiag.load_encoder(path)
