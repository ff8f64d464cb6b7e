"""repdiag's own checkpoint: a torch zip of plain values that proves itself by a SHA-256 over its content."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdiag.core.errors import CheckpointError
from repdiag.core.files import write_atomic

FORMAT = "repdiag"
FORMAT_VERSION = 1

# Reading damaged bytes leaks all of these from torch.load.
_READ_ERRORS = (
    OSError,
    RuntimeError,
    EOFError,
    KeyError,
    IndexError,
    ValueError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def is_native(payload: object) -> bool:
    """Say whether a loaded checkpoint is in this format."""
    return isinstance(payload, Mapping) and payload.get("format") == FORMAT


def write_native(path: Path, payload: Mapping[str, Any]) -> str:
    """Write the payload durably with its digest and return the digest.

    The payload holds tensors, strings, numbers, lists and dicts only, so that it loads with `weights_only=True`.
    """
    complete = {"format": FORMAT, "format_version": FORMAT_VERSION, **payload}
    complete["digest"] = payload_digest(complete)
    # Serialised in memory first: a full disk then shows as the OSError it is, not as an error of torch's zip writer.
    buffer = io.BytesIO()
    torch.save(complete, buffer)
    write_atomic(path, lambda stream: stream.write(buffer.getbuffer()))
    return str(complete["digest"])


def read_native(path: Path) -> dict[str, Any]:
    """Return a payload whose digest has been checked. Raises `CheckpointError` for damaged or foreign files."""
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)
    except _READ_ERRORS as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as a checkpoint", found=cause) from error
    if not is_native(payload):
        raise CheckpointError(f"{path} is not a repdiag checkpoint", found=type(payload).__name__)
    verify_native(payload, path=path)
    found: dict[str, Any] = payload
    return found


def verify_native(payload: Mapping[str, Any], *, path: Path) -> None:
    """Raise `CheckpointError` unless the payload is of a known version and equal to what was written."""
    version = payload.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has another format version",
            found=str(version),
            hint=f"this repdiag reads version {FORMAT_VERSION}; install the one that wrote the file",
        )
    if payload.get("digest") != payload_digest(payload):
        raise CheckpointError(
            f"{path} is damaged: its content does not match its digest", hint="use another checkpoint of the run"
        )


def payload_digest(payload: Mapping[str, Any]) -> str:
    """Return the SHA-256 over all values but the digest itself, in an order that does not depend on dicts."""
    digest = hashlib.sha256()
    for name, value in _leaves({key: value for key, value in payload.items() if key != "digest"}, ""):
        if isinstance(value, Tensor):
            header = f"{name}|{value.dtype}|{tuple(value.shape)}|"
            content = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
        else:
            header, content = f"{name}|{type(value).__name__}|", memoryview(json.dumps(value).encode())
        digest.update(header.encode())
        digest.update(content)
    return digest.hexdigest()


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield f"{name}{{", len(value)
        for key in sorted(value, key=str):
            yield from _leaves(value[key], f"{name}/{type(key).__name__}:{key}")
    elif isinstance(value, list | tuple):
        yield f"{name}[", len(value)
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}/{index}")
    else:
        yield name, value
