"""Graphs as others' exporters write them: torchvision and timm by both of torch's, scikit-learn's networks."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn

import repdiag
from repdiag.core.errors import RepdiagError

SIZE = 64


def of_torchvision() -> nn.Module:
    return torchvision.models.squeezenet1_1(weights=None, num_classes=7)


def of_timm() -> nn.Module:
    return timm.create_model("test_vit", pretrained=False, num_classes=0, img_size=SIZE)


def written(network: nn.Module, path: Path, **how: Any) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each exporter announces another one
        torch.onnx.export(network, (torch.zeros(2, 3, SIZE, SIZE),), str(path), **how)
    return path


LEGACY = {"dynamo": False, "input_names": ["x"], "dynamic_axes": {"x": {0: "batch"}}}
ANY_BATCH = {"dynamo": True, "dynamic_shapes": ({0: torch.export.Dim("batch", min=1)},)}
EXPORTED: dict[str, tuple[Any, dict[str, Any]]] = {
    "torchvision, legacy": (of_torchvision, LEGACY),
    "timm, legacy": (of_timm, LEGACY),
    "torchvision, torch.export": (of_torchvision, ANY_BATCH),
    "timm, torch.export, data beside it": (of_timm, {"dynamo": True, "external_data": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize("how", EXPORTED)
def test_it_gives_what_torch_gives(how: str, tmp_path: Path) -> None:
    """Also where the batch was fixed to two: three images are filled up to four."""
    torch.manual_seed(0)
    make, settings = EXPORTED[how]
    network = make().eval()
    encoder = repdiag.load_encoder(written(network, tmp_path / "net.onnx", **settings))
    images = torch.randn(3, 3, SIZE, SIZE)
    with torch.inference_mode():
        expected, found = network(images), encoder(images)
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    assert encoder.info.image_size == SIZE
    if "beside" in how:
        (tmp_path / "net.onnx.data").unlink()
        with pytest.raises(RepdiagError, match="in a file that is missing"):
            repdiag.load_encoder(tmp_path / "net.onnx")


def test_a_network_of_vectors_is_refused_on_one_screen(tmp_path: Path) -> None:
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier

    rows = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it does not converge in so few steps
        network = MLPClassifier((5,), max_iter=5, random_state=0).fit(rows, np.arange(40) % 3)
    path = tmp_path / "mlp.onnx"
    path.write_bytes(to_onnx(network, rows[:1]).SerializeToString())
    with pytest.raises(RepdiagError, match="does not take images alone") as raised:
        repdiag.load_encoder(path)
    assert "of vectors or texts, store what it gives" in str(raised.value)
    assert len(str(raised.value)) < 1500
