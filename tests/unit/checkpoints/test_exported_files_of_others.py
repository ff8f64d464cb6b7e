"""Exports that are not read: each is named, with the way on."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

import repdiag
from repdiag.checkpoints.inspect import inspect_checkpoint
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
    of_now, of_before = ("net/archive_format", "net/models/model.json"), ("serialized_exported_program.json", "version")
    for number, names in enumerate((of_now, of_before)):
        program = tmp_path / f"{number}.pt2"
        with zipfile.ZipFile(program, "w") as archive:
            for name in names:
                archive.writestr(name, "{}")
        with pytest.raises(CheckpointError, match=r"program of torch\.export") as raised:
            repdiag.load_encoder(program)
        assert "torch.onnx.export" in str(raised.value)
    held = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), held)
    (tmp_path / "script.pt").write_bytes(held.getvalue())
    with pytest.raises(CheckpointError, match="TorchScript") as refused:
        repdiag.load_encoder(tmp_path / "script.pt")
    assert "torch.onnx.export(torch.jit.load(path)" in str(refused.value.hint)


# What coremltools 9 writes of: version 7; an image "image", 32 wide and 48 high, RGB; an array "embedding", float16,
# 1 by 512; an author and an entry of metadata; a layer without parameters.
CORE_ML = bytes.fromhex(
    "080712420a110a05696d6167651a08220608201030181452180a09656d62656464696e671a0b2a090a0301800410908004a206121a07736f"
    "6d656f6e65a206060a016b120176a21f050a030a0178"
)


@pytest.mark.parametrize("packed", [False, True])
def test_a_core_ml_model_is_inspected_and_not_run(packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("net.mlpackage" if packed else "net.mlmodel")
    file = path / "Data" / "com.apple.CoreML" / "model.mlmodel" if packed else path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(CORE_ML)
    found = inspect_checkpoint(path)
    assert found.top_level == {
        "input 0": "image image, RGB, [32 wide, 48 high]",
        "output 0": "embedding float16 [1, 512]",
    }
    assert (found.container, found.bytes) == ("Core ML, specification 7", len(CORE_ML))
    assert found.problem is not None
    assert "macOS" in str(found.problem["problem"])
    with pytest.raises(CheckpointError, match="macOS alone runs") as refused:
        repdiag.load_encoder(path)
    assert "load_encoder(function" in str(refused.value.hint)
    for length in (0, 3, 40):
        file.write_bytes(CORE_ML[:length])
        with pytest.raises(CheckpointError, match="no whole Core ML model"):
            inspect_checkpoint(path)


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
