"""A .tflite file as data: inputs and outputs with their scales, its operators, whether LiteRT brings all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from repdiag.checkpoints.exported.ports import Port
from repdiag.core.errors import CheckpointError, DependencyError
from repdiag.core.printable import one_line
from repdiag.core.provenance import sha256_of_file

MARK = b"TFL3"
"""Bytes 4 to 8 of every such file."""

Sizes = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Operator:
    """An operator of the graph: its name in the schema, the names of its tensors."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class TfliteFile:
    """A checked file. `sizes` are those that it was written with, any batch as one image."""

    path: Path
    sha256: str
    bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    operators: tuple[Operator, ...]
    sizes: dict[str, Sizes]
    places: dict[str, int]
    metadata: dict[str, str]
    parameters: int
    subgraphs: int

    container = "TensorFlow Lite"
    reader = "LiteRT, built-in operators only"

    @property
    def counts(self) -> dict[str, int]:
        """How much of what is in it."""
        return {f"operators, {self.parameters:,} parameters": len(self.operators)}

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors that the graph computes."""
        return tuple(name for operator in self.operators for name in operator.outputs)


def read_tflite(path: Path) -> TfliteFile:
    """Return what a file says of itself; raises `CheckpointError` where it is damaged or needs operators of others.

    Nothing is run, and no library of operators is ever loaded.
    """
    _, schema = needed_package()
    content = path.read_bytes()
    if content[4:8] != MARK:
        raise CheckpointError(f"{path} is no whole TensorFlow Lite file", found=f"bytes 4 to 8 are not {MARK!r}")
    model = schema.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() < 1:
        raise CheckpointError(f"{path} is no whole TensorFlow Lite file", found="it has no graph")
    kinds = _kinds(model, schema, path)
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(number) for number in range(graph.TensorsLength())]
    names = [f"{_text(tensor.Name())}" or f"tensor {number}" for number, tensor in enumerate(tensors)]
    types = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    ports = [_port(name, tensor, types) for name, tensor in zip(names, tensors, strict=True)]
    signature = _signature_names(model)
    return TfliteFile(
        path=path,
        sha256=sha256_of_file(path),
        bytes=len(content),
        inputs=tuple(ports[graph.Inputs(number)] for number in range(graph.InputsLength())),
        outputs=tuple(ports[graph.Outputs(number)] for number in range(graph.OutputsLength())),
        operators=tuple(_operator(graph.Operators(number), kinds, names) for number in range(graph.OperatorsLength())),
        sizes={name: _sizes(tensor) for name, tensor in zip(names, tensors, strict=True)},
        places={name: number for number, name in enumerate(names)} | signature,
        metadata=_metadata(model),
        parameters=sum(prod(_sizes(tensor)) for tensor in tensors if _is_held(model, tensor)),
        subgraphs=model.SubgraphsLength(),
    )


def needed_package() -> tuple[Any, Any]:
    """Return LiteRT's interpreter and the schema of its files; raises `DependencyError` where it is not installed."""
    try:
        from ai_edge_litert import interpreter, schema_py_generated
    except ImportError as error:
        raise DependencyError(
            "a TensorFlow Lite model is run by LiteRT", found=str(error), hint="pip install repdiag[litert]"
        ) from error
    return interpreter, schema_py_generated


def _kinds(model: Any, schema: Any, path: Path) -> list[str]:
    """Return the operators' names by their number; raises `CheckpointError` for those that a library would bring."""
    known = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    kinds, foreign = [], []
    for number in range(model.OperatorCodesLength()):
        code = model.OperatorCodes(number)
        place = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        kinds.append(known.get(place, f"operator {place}"))
        if place == schema.BuiltinOperator.CUSTOM:
            foreign.append(_text(code.CustomCode()) or "without a name")
    if foreign:
        raise CheckpointError(
            f"{path} needs operators that LiteRT does not bring",
            found=one_line(", ".join(sorted(foreign)[:8]), 300) + (", ..." if len(foreign) > 8 else ""),
            hint="a library of operators is code, and is never loaded: convert it again with built-in operators only",
        )
    return kinds


def _operator(operator: Any, kinds: list[str], names: list[str]) -> Operator:
    taken = [operator.Inputs(number) for number in range(operator.InputsLength())]
    given = [operator.Outputs(number) for number in range(operator.OutputsLength())]
    return Operator(
        kind=kinds[operator.OpcodeIndex()],
        inputs=tuple(names[place] if place >= 0 else "" for place in taken),  # -1: an input that is left out
        outputs=tuple(names[place] for place in given),
    )


def _port(name: str, tensor: Any, types: dict[int, str]) -> Port:
    signature = [tensor.ShapeSignature(number) for number in range(tensor.ShapeSignatureLength())]
    dims = tuple("any" if size < 0 else size for size in signature or _sizes(tensor))
    quantised = tensor.Quantization()
    one_scale = quantised is not None and quantised.ScaleLength() == 1
    zero_point = int(quantised.ZeroPoint(0)) if one_scale and quantised.ZeroPointLength() else 0
    dtype = types.get(tensor.Type(), "unknown")
    scale = float(quantised.Scale(0)) if one_scale else 0.0
    return Port(name=name, dtype=dtype, dims=dims, scale=scale, zero_point=zero_point)


def _sizes(tensor: Any) -> Sizes:
    return tuple(int(tensor.Shape(number)) for number in range(tensor.ShapeLength()))


def _is_held(model: Any, tensor: Any) -> bool:
    buffer = model.Buffers(tensor.Buffer())
    return bool(buffer.DataLength() or buffer.Size())


def _signature_names(model: Any) -> dict[str, int]:
    """Return the names that the first signature gives to tensors."""
    if model.SignatureDefsLength() < 1:
        return {}
    signature = model.SignatureDefs(0)
    each: Iterator[Any] = (signature.Outputs(number) for number in range(signature.OutputsLength()))
    return {_text(item.Name()): int(item.TensorIndex()) for item in each}


def _metadata(model: Any) -> dict[str, str]:
    found = {}
    for number in range(model.MetadataLength()):
        entry = model.Metadata(number)
        buffer = model.Buffers(entry.Buffer())
        held = bytes(buffer.Data(place) for place in range(min(buffer.DataLength(), 65_536)))
        found[_text(entry.Name())] = held.decode("utf-8", errors="replace")
    return found


def _text(held: Any) -> str:
    return (held or b"").decode("utf-8", errors="replace")
