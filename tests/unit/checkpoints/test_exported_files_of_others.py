"""Exports that are not read: each is named, with the way on."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

import repdiag
from repdiag.core.errors import CheckpointError


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("net.ort", bytes(64), "onnxruntime's own form"),
        ("net.mlmodel", bytes(64), "Core ML"),
    ],
)
def test_an_export_that_is_not_read_is_named_with_the_way_on(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as raised:
        repdiag.load_encoder(path)
    assert "load_encoder(function" in str(raised.value.hint) or ".onnx" in str(raised.value.hint)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_a_program_of_torch_export_and_torchscript_are_refused_with_the_way_on(tmp_path: Path) -> None:
    program = tmp_path / "net.pt2"
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("net/archive_format", "pt2")
        archive.writestr("net/models/model.json", "{}")
    with pytest.raises(CheckpointError) as raised:
        repdiag.load_encoder(program)
    assert "torch.onnx.export" in str(raised.value)
    held = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), held)
    (tmp_path / "script.pt").write_bytes(held.getvalue())
    with pytest.raises(CheckpointError, match="TorchScript"):
        repdiag.load_encoder(tmp_path / "script.pt")


def test_a_function_around_any_runtime_is_an_encoder() -> None:
    """What the messages advise: any callable, fed as it is told."""
    seen: list[torch.Tensor] = []

    def served(images: torch.Tensor) -> list[list[float]]:
        seen.append(images)
        return images.mean(dim=(2, 3)).tolist()

    encoder = repdiag.load_encoder(served, image_size=4, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    found = repdiag.extract(encoder, torch.full((3, 3, 4, 4), 0.8), views=0)
    torch.testing.assert_close(found.features, torch.full((3, 3), 1.2))
    assert encoder.info.parameters == 0
    assert len(seen) > 1
