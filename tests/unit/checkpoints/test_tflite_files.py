"""TensorFlow Lite files: run by LiteRT as they are meant, or refused on one screen. Right answers are torch's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import repdiag
from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.core.errors import DependencyError, RepdiagError
from repdiag.embeddings.cost import measure_cost
from repdiag.workflows.drift import read_pair
from repdiag.workflows.options import AnalysisOptions
from tests.unit.checkpoints.tflite_graphs import BIAS, SIZE, WEIGHT, WIDTH, averages

IMAGES = torch.rand(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def network() -> nn.Module:
    """Return what every file below computes, by torch."""
    made = nn.Sequential(nn.Conv2d(3, WIDTH, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    made[0].weight.data = torch.from_numpy(WEIGHT.transpose(0, 3, 1, 2).copy())
    made[0].bias.data = torch.from_numpy(BIAS)
    return made.eval()


@torch.inference_mode()
def features(images: torch.Tensor = IMAGES) -> np.ndarray:
    return network()(images).numpy()


@torch.inference_mode()
def found_by(path: Path, images: torch.Tensor = IMAGES, **read: Any) -> np.ndarray:
    return repdiag.load_encoder(path, **read)(images).numpy()


@pytest.mark.parametrize("batch", [1, 4, -1])
def test_a_file_gives_what_torch_gives(batch: int, tmp_path: Path) -> None:
    """Channels last; one image at a time, four of five filled up, or any number."""
    np.testing.assert_allclose(found_by(averages(tmp_path / "n.tflite", batch=batch)), features(), atol=1e-5)


def test_it_is_known_by_its_bytes(tmp_path: Path) -> None:
    path = averages(tmp_path / "n.bin")
    np.testing.assert_allclose(found_by(path), features(), atol=1e-5)


@pytest.mark.parametrize(
    ("dtype", "quantised", "mean", "std"),
    [
        ("uint8", (1 / 255, 0), 0.0, 1.0),
        ("int8", (1 / 255, -128), 0.0, 1.0),
        ("uint8", (2 / 255, 128), 0.5, 0.5),
        ("uint8", (1.0, 0), 0.0, 1 / 255),
    ],
)
def test_bytes_are_pixels_where_the_scale_says_so(
    dtype: str, quantised: tuple[float, int], mean: float, std: float, tmp_path: Path
) -> None:
    """A byte p stands for scale (p - zero point), which is (p / 255 - mean) / std of the range that the bytes fill."""
    pixels = torch.randint(0, 256, (3, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)) / 255.0
    encoder = repdiag.load_encoder(averages(tmp_path / "n.tflite", dtype=dtype, quantised=quantised))
    assert encoder.info.mean == pytest.approx((mean,) * 3)
    assert encoder.info.std == pytest.approx((std,) * 3)
    found = encoder((pixels - encoder.info.mean[0]) / encoder.info.std[0]).numpy()
    exact = features((pixels - mean) / std)
    np.testing.assert_allclose(found, exact, atol=0.02 * float(np.abs(exact).max()))  # 2/255 is not quite [-1, 1]


def test_other_scales_round_to_the_nearest_step(tmp_path: Path) -> None:
    """Of (n - 3) * .05 for n from -128 to 127: numbers beyond are cut, within they are off by half a step at most."""
    path = averages(tmp_path / "n.tflite", dtype="int8", quantised=(0.05, 3))
    wide = 20.0 * IMAGES - 10.0
    steps = torch.clamp(torch.round(wide / 0.05), -131, 124) * 0.05
    np.testing.assert_allclose(found_by(path, wide), features(steps), atol=1e-4)
    assert any("mean 0.485" in note for note in repdiag.load_encoder(path).info.notes)  # not what pixels fill


def test_rounded_outputs_are_numbers_again(tmp_path: Path) -> None:
    found = found_by(averages(tmp_path / "n.tflite", rounded=(0.1, 5)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, features(), atol=0.0501)
    np.testing.assert_allclose(found / 0.1, np.round(found / 0.1), atol=1e-4)


def test_the_output_is_asked_for_where_there_are_two(tmp_path: Path) -> None:
    path = averages(tmp_path / "n.tflite", both=True)
    with pytest.raises(RepdiagError, match="2 outputs, and does not say which one"):
        repdiag.load_encoder(path)
    np.testing.assert_allclose(found_by(path, output="features"), features(), atol=1e-5)
    np.testing.assert_allclose(found_by(path, output="map", pool="mean"), features(), atol=1e-5)
    with pytest.raises(RepdiagError, match="did you mean: features"):
        repdiag.load_encoder(path, output="feature")


def test_an_inner_tensor_is_read(tmp_path: Path) -> None:
    path = averages(tmp_path / "n.tflite")
    np.testing.assert_allclose(found_by(path, output="map", pool="mean"), features(), atol=1e-5)


def test_operators_of_a_library_and_other_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RepdiagError, match="FlexErf"):
        repdiag.load_encoder(averages(tmp_path / "own.tflite", own="FlexErf"))
    path = averages(tmp_path / "n.tflite")
    with pytest.raises(RepdiagError, match="6 pixels only"):
        repdiag.load_encoder(path, image_size=8)
    with pytest.raises(RepdiagError, match="--heads"):
        repdiag.load_encoder(path, heads=3)


@contextmanager
def one_screen() -> Iterator[list[RepdiagError]]:
    """Within, a `RepdiagError` is taken into the list; it must be of one screen."""
    refused: list[RepdiagError] = []
    try:
        yield refused
    except RepdiagError as error:
        refused.append(error)
    assert all(len(str(error)) < 2000 for error in refused)


def test_a_torn_or_changed_file_is_refused_or_run(tmp_path: Path) -> None:
    whole = averages(tmp_path / "n.tflite").read_bytes()
    torn = [whole[:length] for length in (0, 7, 8, 40, len(whole) // 2, len(whole) - 40)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[rng.integers(8, len(whole), size=4)] = rng.integers(0, 256, size=4)
        torn.append(changed.tobytes())
    for number, content in enumerate(torn):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(content)
        with one_screen() as refused:
            assert len(found_by(path)) == len(IMAGES)
        assert refused or number >= 6


def test_it_is_inspected_costs_and_drifts(tmp_path: Path) -> None:
    """Against the network that it was made of, and fed like it: the same vectors, and the same operations."""
    path = averages(tmp_path / "net.tflite")
    seen = inspect_checkpoint(path)
    assert seen.encoder is not None
    assert (seen.family, seen.encoder["feature_dim"]) == ("tflite", WIDTH)
    assert any("LiteRT" in note for note in seen.encoder["notes"])
    whole = repdiag.load_encoder(network(), image_size=SIZE, name="torch", mean=(0.1, 0.2, 0.3), std=(0.5,) * 3)
    old, new = measure_cost(whole), measure_cost(repdiag.load_encoder(path))
    assert new.gflops == pytest.approx(old.gflops)
    assert (new.width, new.file_bytes) == (old.width, path.stat().st_size)
    assert new.runtime.startswith("LiteRT ")
    sets, notes = read_pair({"old": whole, "new": path}, AnalysisOptions(data="digits", per_class=3, cache=False))
    torch.testing.assert_close(sets["torch"].features, sets["net"].features, atol=1e-4, rtol=0)
    assert any("fed like torch" in note for note in notes)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = averages(tmp_path / "n.tflite")
    monkeypatch.setitem(__import__("sys").modules, "ai_edge_litert", None)
    with pytest.raises(DependencyError, match=r"repdiag\[litert\]"):
        repdiag.load_encoder(path)


def test_what_was_recorded_beside_it_feeds_it(tmp_path: Path) -> None:
    settings = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": SIZE, "width": SIZE}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings), "utf-8")
    info = repdiag.load_encoder(averages(tmp_path / "n.tflite")).info
    assert (info.mean, info.std) == ((0.5,) * 3, (0.25,) * 3)
