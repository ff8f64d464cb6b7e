"""Graphs written by `convert`: the same features, fed without flags, refused where they are not what they should be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import repdiag
from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported import onnx_export
from repdiag.checkpoints.exported.onnx_encoder import onnx_encoder
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.workflows.convert import convert_to_onnx, numbers_of
from repdiag.workflows.options import AnalysisOptions

SIZE = 12
PLAIN = AnalysisOptions(cache=False)


def made() -> Encoder:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(800, 6))
    known = dict.fromkeys(("name", "path", "family", "backbone", "branch", "layer"), "own")
    fed = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "interpolation": "bicubic", "resize": 14}
    return Encoder(
        network, EncoderInfo(**known, sha256="f" * 64, feature_dim=6, image_size=SIZE, parameters=5000, **fed)
    )


def test_a_graph_is_fed_like_its_source_without_a_flag(tmp_path: Path) -> None:
    source = made()
    written, drift, worst = convert_to_onnx(source, tmp_path / "net.onnx", PLAIN)
    assert worst <= 1e-4
    assert drift is None
    onnx_export.check_graph_target(tmp_path / "net.onnx", overwrite=True)
    with pytest.raises(UsageError, match="--overwrite"):
        onnx_export.check_graph_target(tmp_path / "net.onnx", overwrite=False)
    again = repdiag.load_encoder(tmp_path / "net.onnx")
    for name in ("mean", "std", "interpolation", "resize", "image_size", "squash"):
        assert getattr(again.info, name) == getattr(source.info, name) == getattr(written.info, name)
    assert not any(note.startswith("assumed") for note in again.info.notes)
    images = torch.rand(5, 3, SIZE, SIZE)
    with torch.no_grad():
        np.testing.assert_allclose(again(images).numpy(), source(images).numpy(), atol=1e-5)


@pytest.mark.parametrize(("resize", "squash"), [(None, False), (None, True), (120, False), (120, True)])
def test_large_images_are_framed_alike(resize: int | None, squash: bool, tmp_path: Path) -> None:
    """Above 64 pixels a file that says nothing gets a crop; a graph of ours says whether its source had one."""
    encoder = made()
    encoder.backbone = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten())
    encoder.info = replace(encoder.info, image_size=96, resize=resize, squash=squash)
    convert_to_onnx(encoder, tmp_path / "net.onnx", PLAIN)
    bare = onnx_encoder(tmp_path / "net.onnx", ReadOptions(), name="g")
    images = torch.randint(0, 255, (1, 3, 140, 200), dtype=torch.uint8)
    old, new = (repdiag.extract(one, images, views=0).features for one in (encoder, bare))
    torch.testing.assert_close(old, new, atol=1e-5, rtol=0)


@pytest.mark.parametrize("numbers", ["int8", "float16"])
def test_fewer_bits_are_smaller_close_and_held_against_the_source(numbers: str, tmp_path: Path) -> None:
    source = made()
    options = AnalysisOptions(data="digits", limit=40, cache=False)
    whole = tmp_path / "whole.onnx"
    convert_to_onnx(source, whole, PLAIN)
    _, drift, worst = convert_to_onnx(source, tmp_path / "few.onnx", options, numbers=numbers)  # type: ignore[arg-type]
    assert drift is not None
    assert 0.0 < worst < 0.1
    cosine = drift.table.value(metric="row_cosine")
    assert cosine is not None
    assert cosine > 0.99
    assert (tmp_path / "few.onnx").stat().st_size < whole.stat().st_size


def test_what_contradicts_itself_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"a stranger's"):
        (tmp_path / "theirs.onnx").write_bytes(content)
        with pytest.raises(UsageError, match="not a file that repdiag wrote"):
            onnx_export.check_graph_target(tmp_path / "theirs.onnx", overwrite=True)
    with pytest.raises(UsageError, match="--calibrate"):
        convert_to_onnx(made(), tmp_path / "net.onnx", PLAIN, numbers="int8")
    for out, asked in (("a.safetensors", {"int8": True}), ("a.onnx", {"per_tensor": True})):
        with pytest.raises(UsageError):
            numbers_of(Path(out), **{"int8": False, "half": False, "per_tensor": False, **asked})
    assert numbers_of(Path("a.onnx"), int8=True, half=False, per_tensor=True) == "int8 per tensor"


def test_a_graph_that_gives_something_else_is_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = made()
    other.backbone[4].weight.mul_(1.001)
    real = onnx_export.export_onnx
    monkeypatch.setattr(onnx_export, "export_onnx", lambda encoder, out, **how: real(other, out, **how))
    with pytest.raises(CheckpointError, match="other features than torch"):
        convert_to_onnx(made(), tmp_path / "net.onnx", PLAIN)
    assert not (tmp_path / "net.onnx").exists()


def test_a_network_that_cannot_be_followed_is_named(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(images).flatten(1)

    odd = made()
    odd.backbone = Odd()
    with pytest.raises(CheckpointError, match="cannot follow"):
        convert_to_onnx(odd, tmp_path / "net.onnx", PLAIN)
