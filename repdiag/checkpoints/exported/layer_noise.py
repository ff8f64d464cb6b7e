"""Where a changed graph leaves the one that it was made of: signal to noise of every tensor that both still have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from repdiag.checkpoints.exported.onnx_graph import OnnxGraph
from repdiag.checkpoints.exported.onnx_module import ImageInput, OnnxModule

CLEAN = 80.0
"""Decibels that a tensor without noise counts as: eight bits never reach them, sixteen hardly."""
_BATCH = 8
_FEWEST = 2  # tensors that two graphs must have in common, or the one is not made of the other
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

    Formula:  SNR = 10 log10(sum x^2 / sum (x - y)^2), x of the old graph and y of the new one, over all images
              fall = smallest SNR of the layer's inputs - SNR; inputs without noise count as 80 dB
    Shapes:   images [N, 3, S, S], normalised
    Empty where the two have no names in common: another exporter wrote the new one.
    """
    mine, its = set(old.graph.tensors), set(new.graph.tensors)
    nodes = [node for node in old.graph.model.graph.node if node.op_type not in _NO_LAYERS]
    names = [name for node in nodes for name in node.output if name in mine & its]
    if len(names) < _FEWEST:
        return []
    found = _signal_to_noise(old, new, names, images)
    reached: dict[str, float] = {old.image.name: CLEAN}
    layers = []
    for node in old.graph.model.graph.node:
        before = min((reached[name] for name in node.input if name in reached), default=CLEAN)
        for name in node.output:
            reached[name] = found.get(name, before)
            if name in found:
                fall = before - found[name]
                layers.append(LayerNoise(tensor=name, operator=node.op_type, signal_to_noise=found[name], fall=fall))
    return layers


def _signal_to_noise(old: GraphRun, new: GraphRun, names: list[str], images: Tensor) -> dict[str, float]:
    sides = [OnnxModule(run.graph, run.image, run.output, inner=tuple(names)) for run in (old, new)]
    signal = dict.fromkeys(names, 0.0)
    noise = dict.fromkeys(names, 0.0)
    batch = old.image.batch or new.image.batch or _BATCH
    for start in range(0, len(images) // batch * batch, batch):
        part = images[start : start + batch]
        one, other = (side.tensors(part) for side in sides)
        for name in names:
            if _is_comparable(one[name], other[name]):
                x, y = (np.asarray(each[name], dtype=np.float64) for each in (one, other))
                signal[name] += float(np.square(x).sum())
                noise[name] += float(np.square(x - y).sum())
    return {name: _decibels(signal[name], noise[name]) for name in names if signal[name] > 0.0}


def _is_comparable(one: Any, other: Any) -> bool:
    return bool(one.shape == other.shape and one.dtype.kind == "f" and other.dtype.kind == "f")


def _decibels(signal: float, noise: float) -> float:
    return CLEAN if noise == 0.0 else min(CLEAN, 10.0 * math.log10(signal / noise))
