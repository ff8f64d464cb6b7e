"""A .tflite file written tensor by tensor by the format's own schema: a convolution, its mean over the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

SIZE, WIDTH = 6, 5
_rng = np.random.default_rng(0)
WEIGHT = _rng.normal(size=(WIDTH, 1, 1, 3)).astype(np.float32)
BIAS = _rng.normal(size=WIDTH).astype(np.float32)
_TYPES = {np.dtype(kind): getattr(schema.TensorType, kind.upper()) for kind in ("float32", "int8", "uint8", "int32")}


class Graph:
    """The parts of a file as they are added; `write` makes the file."""

    def __init__(self) -> None:
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.subgraphs = 3, [self.graph]
        self.model.buffers, self.model.operatorCodes = [schema.BufferT()], []
        self.graph.tensors, self.graph.operators = [], []

    def tensor(self, name: str, sizes: Any = None, *, values: Any = None, **how: Any) -> int:
        """Add a tensor, with values or without; `dtype`, `quantised` (scale, zero point), `signature`."""
        made = schema.TensorT()
        made.name = name.encode()
        made.shape = list(sizes if values is None else values.shape)
        made.type = _TYPES[np.dtype(how.get("dtype", "float32") if values is None else values.dtype)]
        made.shapeSignature = list(how["signature"]) if "signature" in how else None
        if "quantised" in how:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = ([one] for one in how["quantised"])
        if values is not None:
            held = schema.BufferT()
            held.data = np.frombuffer(values.tobytes(), dtype=np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(held)
        self.graph.tensors.append(made)
        return len(self.graph.tensors) - 1

    def operator(self, kind: int, inputs: list[int], outputs: list[int], *, options: Any = None, own: str = "") -> None:
        """Add an operator, its options of the schema's; `own` names one of a library."""
        code = schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = kind, min(kind, 127), 1
        code.customCode = own.encode() or None
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = len(self.model.operatorCodes), inputs, outputs
        if options is not None:
            made.builtinOptions = options
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.model.operatorCodes.append(code)
        self.graph.operators.append(made)

    def write(self, path: Path, *, inputs: list[int], outputs: list[int]) -> Path:
        """Write the file."""
        self.graph.inputs, self.graph.outputs = inputs, outputs
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def averages(path: Path, *, quantised: tuple[float, int] | None = None, dtype: str = "float32", **how: Any) -> Path:
    """Write images [B, S, S, 3] -> the mean over the places of WEIGHT x + BIAS, [B, WIDTH].

    `quantised` and `dtype` are the input's; `batch` its number (-1: any); `both` also gives the map as an output; `own`
    puts an operator of a library behind it.
    """
    made, kinds = Graph(), schema.BuiltinOperator
    batch = how.get("batch", 1)
    count = max(batch, 1)
    signature = {"signature": (batch, SIZE, SIZE, 3)} if batch < 0 else {}
    scaled = {"dtype": dtype, "quantised": quantised} if quantised else {"dtype": dtype}
    images = made.tensor("images", (count, SIZE, SIZE, 3), **scaled, **signature)
    numbers = images
    if quantised:
        numbers = made.tensor("numbers", (count, SIZE, SIZE, 3), **signature)
        made.operator(kinds.DEQUANTIZE, [images], [numbers], options=schema.DequantizeOptionsT())
    weight, bias = made.tensor("weight", values=WEIGHT), made.tensor("bias", values=BIAS)
    places = made.tensor("places", values=np.array([1, 2], dtype=np.int32))
    any_map = {"signature": (-1, SIZE, SIZE, WIDTH)} if signature else {}
    image_map = made.tensor("map", (count, SIZE, SIZE, WIDTH), **any_map)
    convolution = schema.Conv2DOptionsT()
    convolution.strideH = convolution.strideW = convolution.dilationHFactor = convolution.dilationWFactor = 1
    made.operator(kinds.CONV_2D, [numbers, weight, bias], [image_map], options=convolution)
    features = made.tensor("features", (count, WIDTH), **({"signature": (-1, WIDTH)} if signature else {}))
    made.operator(kinds.MEAN, [image_map, places], [features], options=schema.ReducerOptionsT())
    outputs = [features, image_map] if how.get("both") else [features]
    if "own" in how:
        outputs = [made.tensor("last", (count, WIDTH))]
        made.operator(kinds.CUSTOM, [features], outputs, own=how["own"])
    if "rounded" in how:
        outputs = [made.tensor("rounded", (count, WIDTH), dtype="int8", quantised=how["rounded"])]
        made.operator(kinds.QUANTIZE, [features], outputs, options=schema.QuantizeOptionsT())
    return made.write(path, inputs=[images], outputs=outputs)
