"""A .pte program of ExecuTorch: what its method `forward` takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repdiag.checkpoints.exported.ports import Port
from repdiag.core.errors import CheckpointError, DependencyError
from repdiag.core.printable import one_line
from repdiag.core.provenance import sha256_of_file

MARK = b"ET12"
"""Bytes 4 to 8 of every such file."""

# The numbers of torch's own types in the file.
_TYPES = {0: "uint8", 1: "int8", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 15: "bfloat16"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ProgramFile:
    """A checked program, its method loaded. How many numbers it holds the runtime does not tell: 0."""

    path: Path
    sha256: str
    bytes: int
    method: Any
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    tensors: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    parameters: int = 0

    container = "an ExecuTorch program"
    reader = "ExecuTorch, its own kernels only"

    @property
    def counts(self) -> dict[str, int]:
        """How much of what is in it; the runtime does not tell."""
        return {}


def read_program(path: Path) -> ProgramFile:
    """Return what a program says of itself; raises `CheckpointError` where it is damaged or needs kernels of others."""
    runtime = needed_package()
    try:
        checks = runtime.Verification.InternalConsistency
        method = runtime.Runtime.get().load_program(path, verification=checks).load_method("forward")
    except (RuntimeError, ValueError) as error:  # ExecuTorch's own
        raise CheckpointError(
            f"ExecuTorch does not take {path}",
            found=one_line(str(error), 300),
            hint="export it again, for the runtime's own kernels or XNNPACK; libraries of kernels are never loaded",
        ) from error
    known = method.metadata
    return ProgramFile(
        path=path,
        sha256=sha256_of_file(path),
        bytes=path.stat().st_size,
        method=method,
        inputs=tuple(_port(f"input {place}", known.input_tensor_meta(place)) for place in range(known.num_inputs())),
        outputs=tuple(
            _port(f"output {place}", known.output_tensor_meta(place)) for place in range(known.num_outputs())
        ),
    )


def needed_package() -> Any:
    """Return ExecuTorch's runtime; raises `DependencyError` where it is not installed."""
    try:
        from executorch import runtime
    except ImportError as error:
        raise DependencyError(
            "a .pte program is run by ExecuTorch", found=str(error), hint="pip install repdiag[executorch]"
        ) from error
    return runtime


def _port(name: str, tensor: Any) -> Port:
    sizes = tuple(int(size) for size in tensor.sizes())
    return Port(name=name, dtype=_TYPES.get(int(tensor.dtype()), "unknown"), dims=sizes)
