"""Where a changed graph leaves the one that it was made of: signal to noise of every tensor that both still have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.checkpoints.exported.onnx_graph import OnnxGraph
from repdiag.checkpoints.exported.onnx_module import OnnxModule
from repdiag.checkpoints.exported.ports import ImageInput

CLEAN = 40.0
"""Decibels from which a tensor counts as without noise: what rounding to eight bits alone does to one."""
_MOST = 80.0
_BATCH = 8
_FEWEST = 2  # tensors that two graphs must have in common, or the one is not made of the other
_ROUNDED = "_DequantizeLinear_Output"  # what onnxruntime's quantiser puts behind the name
_NO_LAYERS = frozenset({"QuantizeLinear", "DequantizeLinear", "Cast", "Identity", "Constant", "Shape", "Reshape"})


@dataclass(frozen=True, kw_only=True)
class LayerNoise:
    """A tensor in the order of the graph: signal to noise in dB, and by how much it is less than that of its inputs."""

    tensor: str
    operator: str
    signal_to_noise: float
    fall: float


@dataclass(frozen=True)
class GraphRun:
    """A graph and how it is fed."""

    graph: OnnxGraph
    image: ImageInput
    output: str


def layer_noise(old: GraphRun, new: GraphRun, images: Tensor) -> list[LayerNoise]:
    """Return the tensors of the old graph that the new one has under the same name, in the order of the old one.

    Of a tensor that the new graph quantises it is what the next layer reads: rounded.

    Formula:  SNR = 10 log10(sum x^2 / sum (x - y)^2), x of the old graph and y of the new one, over all images
              fall = smallest SNR of the layer's inputs - SNR; inputs of more than 40 dB count as 40 dB
    Shapes:   images [N, 3, S, S], normalised
    Empty where the two have no names in common: another exporter wrote the new one.
    """
    its = set(new.graph.tensors)
    nodes = [node for node in old.graph.model.graph.node if node.op_type not in _NO_LAYERS]
    same = {name: _as_read(name, its) for node in nodes for name in node.output}
    names = {name: other for name, other in same.items() if other in its}
    if len(names) < _FEWEST:
        return []
    found = _signal_to_noise(old, new, names, images)
    reached: dict[str, float] = {}
    layers = []
    for node in old.graph.model.graph.node:
        before = min([CLEAN, *(reached[name] for name in node.input if name in reached)])
        for name in node.output:
            reached[name] = found.get(name, before)
            if name in found:
                fall = before - found[name]
                layers.append(LayerNoise(tensor=name, operator=node.op_type, signal_to_noise=found[name], fall=fall))
    return layers


def _as_read(name: str, its: set[str]) -> str:
    """Return the name under which a quantised graph goes on with a tensor: rounded, and cut where a ReLU was."""
    rounded = f"{name}{_ROUNDED}"
    return rounded if rounded in its else name


def _signal_to_noise(old: GraphRun, new: GraphRun, names: Mapping[str, str], images: Tensor) -> dict[str, float]:
    inner = tuple(names), tuple(names.values())
    sides = [
        OnnxModule(run.graph, run.image, run.output, inner=each) for run, each in zip((old, new), inner, strict=True)
    ]
    signal = dict.fromkeys(names, 0.0)
    noise = dict.fromkeys(names, 0.0)
    batch = old.image.batch or new.image.batch or _BATCH
    for start in range(0, len(images) // batch * batch, batch):
        part = images[start : start + batch]
        one, other = (side.tensors(part) for side in sides)
        for name, as_read in names.items():
            if _is_comparable(one[name], other[as_read]):
                x, y = (np.asarray(each, dtype=np.float64) for each in (one[name], other[as_read]))
                signal[name] += float(np.square(x).sum())
                noise[name] += float(np.square(x - y).sum())
    return {name: _decibels(signal[name], noise[name]) for name in names if signal[name] > 0.0}


def _is_comparable(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.dtype.kind == "f" and other.dtype.kind == "f")


def _decibels(signal: float, noise: float) -> float:
    return _MOST if noise == 0.0 else min(_MOST, 10.0 * math.log10(signal / noise))
