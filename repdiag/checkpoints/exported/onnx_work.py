"""How many operations a graph makes of one image: counted from the sizes that its tensors really have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from torch import Tensor

from repdiag.checkpoints.exported.onnx_graph import OnnxGraph
from repdiag.checkpoints.exported.ports import ImageInput

# Operators and the place of their weight (or second factor) and of their data.
_CONVOLUTIONS = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3), "FusedConv": (0, 1)}
_BACKWARDS = {"ConvTranspose": (0, 1)}
_PRODUCTS = {"MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3), "FusedMatMul": (0, 1), "Gemm": (0, 1)}
_COUNTED = {**_CONVOLUTIONS, **_BACKWARDS, **_PRODUCTS}
# What makes as many operations as those, and is not counted here.
_UNCOUNTED = frozenset(
    {"Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "Einsum", "LSTM", "GRU", "RNN"}
    | {"QGemm", "MatMulNBits", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "DeformConv", "If", "Loop", "Scan"}
)
_AS_LARGE = frozenset({"DequantizeLinear", "QuantizeLinear", "Cast", "Identity"})
Sizes = tuple[int, ...]
Read = Callable[[tuple[str, ...], Tensor], Mapping[str, Any]]
"""Names of inner tensors, and images -> those tensors."""


def operations_of(graph: OnnxGraph, image: ImageInput, *, size: int, read: Read) -> int | None:
    """Return the operations of convolutions and matrix products for one image; None where others are in the graph.

    Formula: a convolution 2 |output| |weight| / outputs, a product 2 |result| K (a multiplication and an addition are
             two operations).
    Fixed batches are run whole and divided by their number.
    """
    nodes = [node for node in graph.model.graph.node if node.op_type in _COUNTED]
    if graph.model.functions or any(node.op_type in _UNCOUNTED for node in graph.model.graph.node):
        return None
    sizes = _sizes(graph, image, read, nodes=nodes, size=size)
    count = sum(_operations(node, sizes) for node in nodes)
    return count // (image.batch or 1)


def _operations(node: Any, sizes: dict[str, Sizes]) -> int:
    data, weight = (sizes[node.input[place]] for place in _COUNTED[node.op_type])
    if node.op_type in _CONVOLUTIONS:
        return 2 * prod(sizes[node.output[0]]) * prod(weight[1:])
    if node.op_type in _BACKWARDS:
        return 2 * prod(data) * prod(weight[1:])
    across = any(item.name == "transA" and item.i for item in node.attribute)
    return 2 * prod(sizes[node.output[0]]) * data[0 if across else -1]


def _sizes(graph: OnnxGraph, image: ImageInput, read: Read, *, nodes: list[Any], size: int) -> dict[str, Sizes]:
    """Return the sizes of all tensors that the nodes take and give, for one image, or one fixed batch."""
    count = image.batch or 1
    given = (count, 3, size, size) if image.layout == "NCHW" else (count, size, size, 3)
    known: dict[str, Sizes] = {image.name: given}
    known |= {tensor.name: tuple(tensor.dims) for tensor in graph.model.graph.initializer}
    for node in graph.model.graph.node:
        if node.op_type in _AS_LARGE and node.input[0] in known:
            known[node.output[0]] = known[node.input[0]]
    wanted = {name for node in nodes for name in _names(node) if name not in known}
    found = read(tuple(sorted(wanted)), torch.zeros(count, 3, size, size))
    return known | {name: tuple(tensor.shape) for name, tensor in found.items()}


def _names(node: Any) -> list[str]:
    return [*(node.input[place] for place in _COUNTED[node.op_type]), node.output[0]]
