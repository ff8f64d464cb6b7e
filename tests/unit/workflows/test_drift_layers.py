"""Where a graph leaves the network that it was made of: noise that was planted in one layer is found there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import repdiag
from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.layer_noise import GraphRun, layer_noise
from repdiag.checkpoints.exported.onnx_export import export_onnx
from repdiag.checkpoints.exported.onnx_graph import read_onnx
from repdiag.checkpoints.exported.ports import image_input
from repdiag.workflows.drift_result import Drift

SIZE = 8


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a network of three convolutions, and the same one with noise on the weights of the second."""
    folder = tmp_path_factory.mktemp("layers")
    torch.manual_seed(0)
    sizes = ((3, 6), (6, 8), (8, 5))
    layers = [part for one, other in sizes for part in (nn.Conv2d(one, other, 3, padding=1), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Flatten())
    known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
    info = EncoderInfo(**known, feature_dim=320, image_size=SIZE, parameters=1)
    export_onnx(Encoder(network, info), folder / "old.onnx")
    model = onnx.load(str(folder / "old.onnx"))
    (weight,) = [one for one in model.graph.initializer if list(one.dims) == [8, 6, 3, 3]]
    values = numpy_helper.to_array(weight)
    noise = np.random.default_rng(0).normal(scale=0.5 * values.std(), size=values.shape).astype(np.float32)
    weight.CopyFrom(numpy_helper.from_array(values + noise, weight.name))
    (folder / "new.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture(scope="module")
def drift(graphs: Path) -> Drift:
    options = {"data": "digits", "per_class": 6, "cache": False, "intervals": False}
    return repdiag.drift(graphs / "old.onnx", graphs / "new.onnx", **options)


def test_the_layer_that_was_changed_is_named(graphs: Path, drift: Drift) -> None:
    convolutions = [
        node.output[0] for node in read_onnx(graphs / "old.onnx").model.graph.node if node.op_type == "Conv"
    ]
    layers = drift.layers
    assert layers is not None
    found = layers.set_index("tensor")
    assert found.loc[convolutions[0], "signal_to_noise"] == 80.0  # nothing was changed before
    assert found.loc[convolutions[1], "fall"] > 20.0
    assert abs(found.loc[convolutions[2], "fall"]) < 6.0  # it passes on what it is given
    (line,) = [line for line in drift.lines() if "first drops" in line]
    assert convolutions[1] in line
    assert convolutions[2] not in line


def test_it_is_kept_and_drawn(drift: Drift, tmp_path: Path) -> None:
    drift.save(tmp_path / "out")
    assert (tmp_path / "out" / "layers.csv").is_file()
    assert (tmp_path / "out" / "figures" / "layer_noise.svg").is_file()
    assert drift.to_dict()["layers"][0]["operator"] == "Conv"


def test_the_ratio_is_that_of_the_squares(graphs: Path) -> None:
    """Features twice as large: the difference is the signal, 0 dB, at the layer that doubles and ever after."""
    model = onnx.load(str(graphs / "old.onnx"))
    for one in model.graph.initializer:
        if list(one.dims) in ([5, 8, 3, 3], [5]):
            one.CopyFrom(numpy_helper.from_array(2.0 * numpy_helper.to_array(one), one.name))
    (graphs / "double.onnx").write_bytes(model.SerializeToString())
    runs = []
    for name in ("old", "double"):
        graph = read_onnx(graphs / f"{name}.onnx")
        runs.append(GraphRun(graph, image_input(graph), graph.outputs[0].name))
    found = layer_noise(*runs, torch.randn(16, 3, SIZE, SIZE))
    assert [round(layer.signal_to_noise, 6) for layer in found if layer.operator == "Conv"] == [80.0, 80.0, 0.0]
    assert found[-1].signal_to_noise == pytest.approx(0.0)


def test_eight_bits_are_read_as_the_next_layer_reads_them(graphs: Path, tmp_path: Path) -> None:
    """The quantiser drops a ReLU, whose tensor keeps its name and has negative numbers until it is rounded."""
    images = torch.randn(32, 3, SIZE, SIZE)
    network = quantised(graphs / "old.onnx", tmp_path / "int8.onnx", images)
    runs = []
    for path in (graphs / "old.onnx", network):
        graph = read_onnx(path)
        runs.append(GraphRun(graph, image_input(graph), graph.outputs[0].name))
    found = layer_noise(*runs, images)
    assert {layer.operator for layer in found} >= {"Relu"}
    assert min(layer.signal_to_noise for layer in found if layer.operator == "Relu") > 15.0


def quantised(path: Path, out: Path, images: torch.Tensor) -> Path:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    class Given:
        parts = iter([{"images": images.numpy()}])

        def get_next(self):
            return next(self.parts, None)

    kinds = {"activation_type": QuantType.QInt8, "weight_type": QuantType.QInt8}
    quantize_static(str(path), str(out), Given(), quant_format=QuantFormat.QDQ, **kinds)
    return out


def test_graphs_without_common_names_are_said_to_be(graphs: Path) -> None:
    model = onnx.load(str(graphs / "new.onnx"))
    names = {name: f"other {number}" for number, node in enumerate(model.graph.node) for name in node.output}
    for node in model.graph.node:
        for names_of in (node.input, node.output):
            names_of[:] = [names.get(name, name) for name in names_of]
    for port in model.graph.output:
        port.name = names[port.name]
    (graphs / "renamed.onnx").write_bytes(model.SerializeToString())
    options = {"data": "digits", "per_class": 6, "cache": False, "intervals": False}
    found = repdiag.drift(graphs / "old.onnx", graphs / "renamed.onnx", **options)
    assert found.layers is None
    assert any("layers cannot be compared" in note for note in found.notes)
