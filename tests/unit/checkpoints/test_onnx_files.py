"""ONNX graphs of many makes: run as they are meant, or refused on one screen. Right answers are worked out by numpy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

import repdiag
from repdiag.checkpoints.exported.onnx_encoder import METADATA, onnx_encoder
from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import RepdiagError
from repdiag.embeddings.cost import measure_cost
from repdiag.workflows.drift import read_pair
from repdiag.workflows.options import AnalysisOptions

SIZE, WIDTH = 6, 5
WEIGHT = np.random.default_rng(0).normal(size=(3, WIDTH)).astype(np.float32)
IMAGES = torch.rand(4, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
FEATURES = IMAGES.mean(dim=(2, 3)).numpy() @ WEIGHT  # what every graph below computes


def graph(
    path: Path,
    *,
    dims: tuple[Any, ...] = ("n", 3, SIZE, SIZE),
    axes: tuple[int, int] = (2, 3),
    dtype: int = TensorProto.FLOAT,
    nodes: tuple[Any, ...] = (),
    outputs: tuple[str, ...] = ("features",),
    metadata: dict[str, str] | None = None,
    opsets: tuple[tuple[str, int], ...] = (("", 17),),
    external: str | None = None,
) -> Path:
    """Write a graph that averages pixels and multiplies them by WEIGHT."""
    before = [helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT)]
    if dtype == TensorProto.UINT8:
        before += [helper.make_node("Mul", ["numbers", "unit"], ["scaled"])]
    pixels = "scaled" if dtype == TensorProto.UINT8 else "numbers"
    own = [
        *before,
        helper.make_node("ReduceMean", [pixels], ["means"], axes=axes, keepdims=0),
        helper.make_node("MatMul", ["means", "weight"], ["features"]),
    ]
    made = helper.make_model(
        helper.make_graph(
            [*own, *nodes],
            "g",
            [helper.make_tensor_value_info("images", dtype, dims)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            [numpy_helper.from_array(WEIGHT, "weight"), numpy_helper.from_array(np.float32(1 / 255.0), "unit")],
        ),
        opset_imports=[helper.make_opsetid(*one) for one in opsets],
        ir_version=9,
    )
    for key, value in (metadata or {}).items():
        made.metadata_props.add(key=key, value=value)
    if external is not None:
        onnx.save(made, str(path), save_as_external_data=True, location="weights.bin", size_threshold=8)
        text = onnx.load(str(path), load_external_data=False)
        for entry in text.graph.initializer[0].external_data:
            if entry.key == "location":
                entry.value = external
        path.write_bytes(text.SerializeToString())
    else:
        path.write_bytes(made.SerializeToString())
    return path


def features(path: Path, images: torch.Tensor = IMAGES, **options: Any) -> np.ndarray:
    return onnx_encoder(path, ReadOptions(**options), name="g")(images).numpy()


TAKEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "as usual": ({}, {}),
    "channels last": ({"dims": ("n", SIZE, SIZE, 3), "axes": (1, 2)}, {}),
    "one image at a time": ({"dims": (1, 3, SIZE, SIZE)}, {}),
    "three images at a time": ({"dims": (3, 3, SIZE, SIZE)}, {}),
    "any size": ({"dims": ("n", 3, "h", "w")}, {"image_size": SIZE}),
    "half precision": ({"dtype": TensorProto.FLOAT16}, {}),
    "an inner tensor": (
        {"nodes": (helper.make_node("Relu", ["features"], ["logits"]),), "outputs": ("logits",)},
        {"output": "features"},
    ),
    "one of two outputs": (
        {"nodes": (helper.make_node("Relu", ["features"], ["logits"]),), "outputs": ("features", "logits")},
        {"output": "features"},
    ),
    "a map of one pixel": (
        {
            "nodes": (
                helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([2, 3]))),
                helper.make_node("Unsqueeze", ["features", "axes"], ["map"]),
            ),
            "outputs": ("map",),
        },
        {},
    ),
    "three megabytes of metadata": ({"metadata": {"log": "x" * 3_000_000}}, {}),
    "data beside it": ({"external": "weights.bin"}, {}),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_graph_is_run_as_it_is_meant(name: str, tmp_path: Path) -> None:
    made, options = TAKEN[name]
    found = features(graph(tmp_path / "g.onnx", **made), **options)
    tolerance = 2e-3 if "half" in name else 1e-5
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, FEATURES, atol=tolerance)


def test_bytes_are_given_as_bytes(tmp_path: Path) -> None:
    """Normalised inside of the graph: pixels in 0..255 come from images in [0, 1], rounded."""
    path = graph(tmp_path / "g.onnx", dtype=TensorProto.UINT8)
    encoder = onnx_encoder(path, ReadOptions(), name="g")
    assert (encoder.info.mean, encoder.info.std) == ((0.0,) * 3, (1.0,) * 3)
    np.testing.assert_allclose(encoder(IMAGES).numpy(), FEATURES, atol=0.01)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "two outputs": (
        {"nodes": (helper.make_node("Relu", ["features"], ["logits"]),), "outputs": ("features", "logits")},
        "does not say which one is the embedding",
    ),
    "any size, and none told": ({"dims": ("n", 3, "h", "w")}, "--image-size"),
    "vectors": ({"dims": ("n", 30)}, "does not take images alone"),
    "a library's operators": (
        {
            "nodes": (helper.make_node("Evil", ["features"], ["out"], domain="my.library"),),
            "outputs": ("out",),
            "opsets": (("", 17), ("my.library", 1)),
        },
        "my.library:Evil",
    ),
    "another compiler's file": (
        {
            "nodes": (helper.make_node("EPContext", ["features"], ["out"], domain="com.microsoft"),),
            "outputs": ("out",),
            "opsets": (("", 17), ("com.microsoft", 1)),
        },
        "EPContext",
    ),
    "data of another folder": ({"external": "../weights.bin"}, "outside of its folder"),
    "data at a root": ({"external": "/etc/hostname"}, "outside of its folder"),
    "data that are not here": ({"external": "lost.bin"}, "is missing"),
    "a cycle": (
        {"nodes": (helper.make_node("Add", ["a", "b"], ["b"][:1]), helper.make_node("Relu", ["b"], ["a"]))},
        "onnxruntime does not take",
    ),
    "images that are no squares": ({"dims": ("n", 3, 6, 8)}, "not square"),
    "four channels": ({"dims": ("n", 4, 6, 6)}, "three channels"),
    "metadata of another sense": (
        {"metadata": {METADATA: json.dumps({"mean": [0.5], "std": "none", "image_size": 6})}},
        "metadata",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_run_is_refused_on_one_screen(name: str, tmp_path: Path) -> None:
    made, words = REFUSED[name]
    path = graph(tmp_path / "g.onnx", **made)
    with pytest.raises(RepdiagError) as raised:
        repdiag.load_encoder(path)
    assert words in str(raised.value)
    assert len(str(raised.value)) < 4000


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    whole = graph(tmp_path / "g.onnx").read_bytes()
    for length in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        torn = tmp_path / f"{length}.onnx"
        torn.write_bytes(whole[:length])
        with pytest.raises(RepdiagError, match=r"not a complete ONNX file|does not take|cannot be understood"):
            repdiag.load_encoder(torn)


def test_other_options_are_refused_and_typos_get_the_nearest(tmp_path: Path) -> None:
    path = graph(tmp_path / "g.onnx")
    with pytest.raises(RepdiagError, match="--heads"):
        repdiag.load_encoder(path, heads=3)
    with pytest.raises(RepdiagError, match="did you mean: features"):
        repdiag.load_encoder(path, output="feature")
    with pytest.raises(RepdiagError, match="6 pixels only"):
        repdiag.load_encoder(path, image_size=8)


def test_tokens_are_pooled_on_request(tmp_path: Path) -> None:
    nodes = (
        helper.make_node("Constant", [], ["axes"], value=numpy_helper.from_array(np.array([1]))),
        helper.make_node("Unsqueeze", ["features", "axes"], ["token"]),
        helper.make_node("Neg", ["token"], ["other"]),
        helper.make_node("Concat", ["token", "other"], ["tokens"], axis=1),
    )
    path = graph(tmp_path / "g.onnx", nodes=nodes, outputs=("tokens",))
    with pytest.raises(RepdiagError, match="--pool token"):
        features(path)
    np.testing.assert_allclose(features(path, pool="token"), FEATURES, atol=1e-5)
    np.testing.assert_allclose(features(path, pool="mean"), 0.0, atol=1e-6)


def test_a_sequence_is_no_embedding_and_its_parts_are_read(tmp_path: Path) -> None:
    nodes = (helper.make_node("SequenceConstruct", ["features", "features"], ["two"]),)
    path = graph(tmp_path / "g.onnx", nodes=nodes, outputs=("two",))
    model = onnx.load(str(path))
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("two", TensorProto.FLOAT, None))
    path.write_bytes(model.SerializeToString())
    for pool in (None, "token"):
        with pytest.raises(RepdiagError, match="is a list and no tensor"):
            features(path, pool=pool)
    np.testing.assert_allclose(features(path, output="features"), FEATURES, atol=1e-5)


def test_a_pointer_of_git_lfs_is_named(tmp_path: Path) -> None:
    (tmp_path / "g.onnx").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "utf-8")
    with pytest.raises(RepdiagError, match="git lfs pull"):
        repdiag.load_encoder(tmp_path / "g.onnx")


def test_how_it_is_fed_comes_from_what_is_told_recorded_or_assumed(tmp_path: Path) -> None:
    recorded = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "image_size": SIZE, "interpolation": "bicubic"}
    own = onnx_encoder(graph(tmp_path / "own.onnx", metadata={METADATA: json.dumps(recorded)}), ReadOptions(), name="g")
    assert (own.info.mean, own.info.interpolation) == ((0.1, 0.2, 0.3), "bicubic")
    told = onnx_encoder(tmp_path / "own.onnx", ReadOptions(mean=(0.9, 0.9, 0.9)), name="g")
    assert (told.info.mean, told.info.std) == ((0.9, 0.9, 0.9), (0.4, 0.5, 0.6))
    bare = onnx_encoder(graph(tmp_path / "bare.onnx"), ReadOptions(), name="g")
    assert any("mean 0.485" in note and "--mean" in note for note in bare.info.notes)
    partner = onnx_encoder(tmp_path / "bare.onnx", ReadOptions(), name="g", partner=own.info)
    assert partner.info.mean == (0.1, 0.2, 0.3)
    assert any(note.startswith("fed like g") for note in partner.info.notes)
    settings = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "size": {"height": SIZE, "width": SIZE}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings), "utf-8")
    beside = onnx_encoder(tmp_path / "bare.onnx", ReadOptions(), name="g", partner=own.info)
    assert (beside.info.mean, beside.info.std) == ((0.5,) * 3, (0.25,) * 3)


def test_it_is_inspected_and_the_runtime_is_named(tmp_path: Path) -> None:
    found = inspect_checkpoint(graph(tmp_path / "g.onnx"))
    assert found.encoder is not None
    assert (found.family, found.encoder["parameters"], found.encoder["feature_dim"]) == ("onnx", 3 * WIDTH + 1, WIDTH)
    assert any("CPUExecutionProvider" in note for note in found.encoder["notes"])
    two = graph(
        tmp_path / "two.onnx", nodes=(helper.make_node("Relu", ["features"], ["r"]),), outputs=("features", "r")
    )
    problem = inspect_checkpoint(two).problem
    assert problem is not None
    assert "--output" in str(problem["hint"])


@pytest.mark.parametrize("dims", [("n", 3, SIZE, SIZE), (4, 3, SIZE, SIZE)])
def test_its_cost_counts_weights_operations_and_bytes_of_the_graph(dims: tuple[Any, ...], tmp_path: Path) -> None:
    """One product of a row of 3 by 3 x WIDTH an image, also where the graph takes four at a time."""
    path = graph(tmp_path / "g.onnx", dims=dims)
    cost = measure_cost(onnx_encoder(path, ReadOptions(), name="g"))
    assert (cost.parameters, cost.width, cost.file_bytes) == (3 * WIDTH + 1, WIDTH, path.stat().st_size)
    assert cost.gflops == pytest.approx(2 * 3 * WIDTH / 1e9)
    assert cost.runtime.startswith("onnxruntime ")
    assert cost.ms_per_image is not None


def test_operations_that_are_not_counted_are_not_guessed(tmp_path: Path) -> None:
    nodes = (helper.make_node("Einsum", ["features", "features"], ["squares"], equation="nd,nd->nd"),)
    path = graph(tmp_path / "g.onnx", nodes=nodes, outputs=("squares",))
    assert measure_cost(onnx_encoder(path, ReadOptions(), name="g")).gflops is None


@pytest.mark.filterwarnings("ignore")  # torch's exporter announces its own replacement
def test_what_torch_exports_gives_what_torch_gives(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    path = tmp_path / "net.onnx"
    axes = {"dynamic_axes": {"x": {0: "n"}}, "input_names": ["x"]}
    torch.onnx.export(network, (IMAGES[:2],), str(path), dynamo=False, **axes)
    with torch.no_grad():
        np.testing.assert_allclose(features(path), network(IMAGES).numpy(), atol=1e-4)
    options = AnalysisOptions(data="digits", per_class=3, cache=False)
    work = [measure_cost(repdiag.load_encoder(one, image_size=SIZE)).gflops for one in (network, path)]
    assert work[0] == pytest.approx(work[1])
    whole = repdiag.load_encoder(network, image_size=SIZE, name="torch")
    sets, notes = read_pair({"old": whole, "new": path}, options)
    torch.testing.assert_close(sets["torch"].features, sets["net"].features, atol=1e-4, rtol=0)
    assert any("fed like torch" in note for note in notes)
