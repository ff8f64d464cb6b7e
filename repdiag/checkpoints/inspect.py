"""What can be said about a checkpoint file: the data behind `repdiag inspect`."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from repdiag.checkpoints.adapters import read_checkpoint
from repdiag.checkpoints.exported.core_ml import core_ml_ports, is_core_ml
from repdiag.checkpoints.exported.exported_encoder import exported_encoder, is_exported, read_exported
from repdiag.checkpoints.fitting.match import weights_in_file
from repdiag.checkpoints.load import encoder_of
from repdiag.checkpoints.own.convert import is_converted
from repdiag.checkpoints.own.native import is_native
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.checkpoints.reading import other_files
from repdiag.checkpoints.reading.one_error import one_kind_of_error
from repdiag.checkpoints.reading.safe_load import Payload
from repdiag.checkpoints.reading.shards import size_of_weights
from repdiag.core.errors import CheckpointError, UsageError
from repdiag.core.printable import brief
from repdiag.core.provenance import sha256_of_file


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """A checkpoint file in plain values. `problem` says why it does not load, where it does not."""

    path: str
    sha256: str
    bytes: int
    container: str
    reader: str
    integrity: str
    placeholders: tuple[str, ...]
    top_level: Mapping[str, str]
    family: str | None = None
    branches: tuple[str, ...] = ()
    keymap: str | None = None
    encoder: Mapping[str, Any] | None = None
    tensors: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    projection_head: str | None = None
    classifier: str | None = None
    problem: Mapping[str, str | None] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


def inspect_checkpoint(path: Path | str, read_options: ReadOptions | None = None) -> Inspection:
    """Return what is in a file. A file that is unsafe or damaged is a `CheckpointError`; one that is safe to read but
    not understood gives an inspection with its `problem`.
    """
    if is_exported(Path(path)):
        return _inspect_exported(Path(path), read_options or ReadOptions())
    if is_core_ml(Path(path)):
        return _inspect_core_ml(Path(path))
    payload = read_checkpoint(path, mapped=True)
    found: dict[str, Any] = {
        "path": str(payload.path),
        "sha256": payload.sha256,
        "bytes": size_of_weights(payload.path),
        "container": payload.container,
        "reader": payload.reader,
        "integrity": payload.integrity,
        "placeholders": payload.foreign,
        "top_level": _top_level(payload),
    }
    try:
        with one_kind_of_error(payload.path), weights_in_file():
            found |= _understood(payload, read_options or ReadOptions())
    except CheckpointError as error:
        found["problem"] = {"problem": error.problem, "found": error.found, "hint": error.hint}
    return Inspection(**found)


def _inspect_exported(path: Path, read_options: ReadOptions) -> Inspection:
    """Return what a graph takes and gives, and how it would be fed."""
    with one_kind_of_error(path):
        graph = read_exported(path)
    found: dict[str, Any] = {
        "path": str(path),
        "sha256": graph.sha256,
        "bytes": path.stat().st_size,
        "container": graph.container,
        "reader": graph.reader,
        "integrity": "unknown",
        "placeholders": (),
        "top_level": {f"input {number}": str(port) for number, port in enumerate(graph.inputs)}
        | {f"output {number}": str(port) for number, port in enumerate(graph.outputs[:40])},
        "tensors": graph.counts,
    }
    try:
        with one_kind_of_error(path):
            encoder = exported_encoder(path, read_options, name=path.name)
            found |= {"family": encoder.info.family, "branches": ("online",), "encoder": encoder.info.to_dict()}
    except (CheckpointError, UsageError) as error:
        found["problem"] = {"problem": error.problem, "found": error.found, "hint": error.hint}
    return Inspection(**found)


def _inspect_core_ml(path: Path) -> Inspection:
    """Return what a Core ML model takes and gives, and that it is not run."""
    with one_kind_of_error(path):
        version, inputs, outputs = core_ml_ports(path)
        files = [path] if path.is_file() else sorted(item for item in path.rglob("*") if item.is_file())
        digests = [sha256_of_file(file) for file in files]
        digest = digests[0] if path.is_file() else hashlib.sha256("".join(digests).encode()).hexdigest()
    what, hint = other_files.CORE_ML
    return Inspection(
        path=str(path),
        sha256=digest,
        bytes=sum(file.stat().st_size for file in files),
        container=f"Core ML, specification {version}",
        reader="its description only",
        integrity="unknown",
        placeholders=(),
        top_level={f"input {number}": str(port) for number, port in enumerate(inputs)}
        | {f"output {number}": str(port) for number, port in enumerate(outputs)},
        problem={"problem": f"{path.name} is {what}", "found": None, "hint": hint},
    )


def _understood(payload: Payload, read_options: ReadOptions) -> dict[str, Any]:
    encoder, resolved = encoder_of(payload, read_options, name=payload.path.name)
    found: dict[str, Any] = {
        **({"integrity": "its own digest"} if is_converted(payload) else {}),
        "family": encoder.info.family,
        "encoder": encoder.info.to_dict(),
        "projection_head": _outline(encoder.projector),
        "classifier": _outline(encoder.classifier),
    }
    if resolved is not None:
        found["branches"] = resolved.present
        found["keymap"] = resolved.renamed.keymap.name if resolved.renamed.keymap else None
        found["tensors"] = dict(Counter(resolved.roles.values()))
        found["unknown"] = tuple(name for name, role in resolved.roles.items() if role == "unknown")[:20]
    return found


def _outline(module: nn.Module | None) -> str | None:
    """Return a head in one line: "512 -> 512 -> 128"."""
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear)] if module else []
    if not linear:
        return None
    return " -> ".join(map(str, [linear[0].in_features, *(layer.out_features for layer in linear)]))


def _top_level(payload: Payload) -> dict[str, str]:
    """Return what lies at the top of the file; a bare state dict is summed up in one line."""
    tree = payload.tree
    if not isinstance(tree, Mapping):
        return {"": type(tree).__name__}
    if is_native(tree) or not all(isinstance(value, Tensor) for value in tree.values()):
        return {brief(key, 80).strip("'"): _summary(value) for key, value in list(tree.items())[:40]}
    return {"": f"{len(tree)} tensors"}


def _summary(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"tensor {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, Mapping | list | tuple):
        return f"{type(value).__name__} of {len(value)}"
    return brief(value, 80)
