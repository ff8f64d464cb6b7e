"""An .onnx file as data: its inputs and outputs, what it needs beside it, and whether it may be run at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repdiag.checkpoints.exported.ports import Port
from repdiag.core.errors import CheckpointError, DependencyError
from repdiag.core.printable import one_line
from repdiag.core.provenance import sha256_of_file

# What onnxruntime itself brings; any other domain is that of a library, which is code.
_KNOWN_DOMAINS = frozenset(
    {
        *("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"),
        *("com.microsoft", "com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten"),
    }
)
_RUNS_OTHER_FILES = frozenset({"EPContext", "PythonOp", "PythonOpGrad", "ATen"})
_EXTERNAL = 1  # TensorProto.EXTERNAL


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxGraph:
    """A checked graph. `sha256` and `bytes` cover the file and the data that it keeps in other files."""

    path: Path
    model: Any
    sha256: str
    bytes: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]
    parameters: int
    producer: str

    reader = "onnxruntime, standard operators only"

    @property
    def container(self) -> str:
        """What the file is, in words."""
        return f"ONNX of {self.producer}"

    @property
    def counts(self) -> dict[str, int]:
        """How much of what is in it."""
        return {f"nodes, {self.parameters:,} parameters": len(self.model.graph.node)}

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors that the graph computes."""
        return tuple(name for node in self.model.graph.node for name in node.output if name)


def read_onnx(path: Path) -> OnnxGraph:
    """Return the graph of a file; raises `CheckpointError` where it is damaged or needs code of others.

    Nothing is run. Operators of libraries are refused by name, and so are data files outside of the file's folder.
    """
    onnx = needed_package()
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        if path.read_bytes().startswith(b"version https://git-lfs"):
            pointer = "a pointer of git LFS and not the file itself"
            raise CheckpointError(
                f"{path} is no whole ONNX file", found=pointer, hint="git lfs pull, or download the file"
            ) from error
        raise CheckpointError(
            f"{path} is not a complete ONNX file", found=one_line(str(error), 120), hint="copy or export it again"
        ) from error
    if not model.HasField("graph") or not model.graph.output:
        raise CheckpointError(f"{path} is not a complete ONNX file", found="it has no graph with an output")
    _refuse_foreign_operators(model, path)
    outside = _external_files(model, path)
    held = {tensor.name for tensor in model.graph.initializer}
    held |= {tensor.values.name for tensor in model.graph.sparse_initializer}
    digest = hashlib.sha256(sha256_of_file(path).encode())
    for file in outside:
        digest.update(sha256_of_file(file).encode())
    return OnnxGraph(
        path=path,
        model=model,
        sha256=digest.hexdigest() if outside else sha256_of_file(path),
        bytes=sum(file.stat().st_size for file in (path, *outside)),
        inputs=tuple(_port(onnx, item) for item in model.graph.input if item.name not in held),
        outputs=tuple(_port(onnx, item) for item in model.graph.output),
        metadata={item.key: item.value for item in model.metadata_props},
        parameters=sum(_size(tensor) for tensor in model.graph.initializer),
        producer=one_line(f"{model.producer_name} {model.producer_version}".strip() or "unknown", 60),
    )


def needed_package() -> Any:
    """Return the package onnx; raises `DependencyError` where it or onnxruntime is missing."""
    try:
        import onnx
        import onnxruntime  # noqa: F401  # both are needed, and asked for at once
    except ImportError as error:
        raise DependencyError(
            "an ONNX graph needs onnxruntime", found=str(error), hint="pip install repdiag[onnx]"
        ) from error
    return onnx


def _port(onnx: Any, item: Any) -> Port:
    kind = item.type.tensor_type
    dims = tuple(int(one.dim_value) if one.HasField("dim_value") else one.dim_param or "?" for one in kind.shape.dim)
    try:
        dtype = str(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except (KeyError, ValueError, TypeError):
        dtype = "unknown"
    return Port(name=item.name, dtype=dtype, dims=dims)


def _graphs(model: Any) -> Iterator[Any]:
    """Yield the graph, the bodies of functions and the graphs inside of nodes."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def _refuse_foreign_operators(model: Any, path: Path) -> None:
    own = {(function.domain, function.name) for function in model.functions}
    foreign = {
        f"{node.domain}:{node.op_type}"
        for graph in _graphs(model)
        for node in graph.node
        if (node.domain not in _KNOWN_DOMAINS or node.op_type in _RUNS_OTHER_FILES)
        and (node.domain, node.op_type) not in own
    }
    if foreign:
        raise CheckpointError(
            f"{path} needs operators that onnxruntime does not have",
            found=one_line(", ".join(sorted(foreign)[:8]), 300) + (", ..." if len(foreign) > 8 else ""),
            hint="a library of operators is code, and repdiag never loads it: export again with standard operators",
        )


def _external_files(model: Any, path: Path) -> list[Path]:
    """Return the files beside the graph that hold its tensors."""
    folder = path.resolve().parent
    names: dict[str, None] = {}
    for graph in _graphs(model):
        held = [*getattr(graph, "initializer", ())]
        held += [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
        for tensor in held:
            if tensor.data_location == _EXTERNAL:
                names |= {item.value: None for item in tensor.external_data if item.key == "location"}
    found = []
    for name in names:
        file = (folder / name).resolve()
        shown = one_line(name, 120)
        if Path(name).is_absolute() or not file.is_relative_to(folder):
            raise CheckpointError(f"{path} keeps tensors outside of its folder", found=shown, hint="that is not read")
        if not file.is_file():
            raise CheckpointError(f"{path} keeps tensors in a file that is missing", found=shown, hint="copy it too")
        found.append(file)
    return sorted(found)


def _size(tensor: Any) -> int:
    count = 1
    for size in tensor.dims:
        count *= int(size)
    return count
