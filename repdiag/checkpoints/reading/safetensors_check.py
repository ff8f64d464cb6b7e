"""Reads safetensors files: the format itself cannot run anything, so only its declared sizes are checked first."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from torch import Tensor

from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN
from repdiag.core.errors import CheckpointError

_MAX_HEADER_BYTES = 16 * 2**20
_MAX_TENSORS = 100_000


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors, memory-mapped, and the header's metadata."""
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="pt", device="cpu") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 - not a mapping
            metadata = dict(stream.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as error:
        found = str(error)[:120]
        raise CheckpointError("the safetensors file is damaged", found=found, hint=FETCH_AGAIN) from error
    return tensors, metadata


def looks_like_safetensors(start: bytes, size: int) -> bool:
    """Say whether a file that begins with these bytes can only be a safetensors file."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] <= size - 8 and start[8:9] == b"{"


def _check_header(path: Path) -> None:
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8))[0]
        if length > min(_MAX_HEADER_BYTES, size - 8):
            raise CheckpointError("the header of the safetensors file is too large", found=f"{length} bytes")
        try:
            header: Any = json.loads(stream.read(length), object_pairs_hook=table_without_repeats)
        except (ValueError, RecursionError) as error:
            raise CheckpointError("the header of the safetensors file is damaged", found=str(error)[:120]) from error
    if not isinstance(header, dict) or len(header) > _MAX_TENSORS:
        raise CheckpointError("the header of the safetensors file is damaged", found="not a table of tensors")


def table_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries as a table; a name that comes twice would mean one tensor here and another elsewhere."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name comes twice")
    return table
