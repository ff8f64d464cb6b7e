"""Reads safetensors files: the format itself cannot run anything, so only its declared sizes are checked first."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from torch import Tensor

from repdiag.checkpoints.reading.bounded_tree import expect_count, shown_names
from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

_MAX_HEADER_BYTES = 6 * 2**20  # which JSON may turn into forty times as much memory
_MAPPED_BYTES = 256 * 2**20


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors, copied into memory, and the header's metadata."""
    from safetensors import SafetensorError

    shown = shown_names(_check_header(path))
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    try:
        with path.open("rb") as stream:  # the library takes paths in UTF-8 only
            address = f"/proc/self/fd/{stream.fileno()}" if _is_odd(path) else str(path)
            batch, metadata = _copied(address, after=0)
            while batch:
                tensors |= {shown[name]: value for name, value in batch.items()}
                batch = _copied(address, after=len(tensors))[0] if len(tensors) < len(shown) else {}
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as error:
        found = one_line(str(error), 120)
        raise CheckpointError("the safetensors file is damaged", found=found, hint=FETCH_AGAIN) from error
    return tensors, metadata


def _is_odd(path: Path) -> bool:
    return str(path) != str(path).encode("utf-8", "replace").decode()


def _copied(address: str, *, after: int) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the next tensors of the file, some hundreds of megabytes of them, and the header's metadata.

    The library maps the file, and what was looked at counts as memory in use until the file is closed.
    """
    from safetensors import safe_open

    tensors: dict[str, Tensor] = {}
    taken = 0
    with safe_open(address, framework="pt", device="cpu") as stream:
        metadata = dict(stream.metadata() or {})
        for name in list(stream.keys())[after:]:
            tensors[name] = value = stream.get_tensor(name).clone()
            taken += value.numel() * value.element_size()
            if taken > _MAPPED_BYTES:
                break
    return tensors, metadata


def looks_like_safetensors(start: bytes, size: int) -> bool:
    """Say whether a file that begins with these bytes can only be a safetensors file."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] <= size - 8 and start[8:9] == b"{"


def _check_header(path: Path) -> list[str]:
    """Return the names of the tensors that the header declares."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = struct.unpack("<Q", stream.read(8))[0]
        if length > min(_MAX_HEADER_BYTES, size - 8):
            raise CheckpointError("the header of the safetensors file is too large", found=f"{length} bytes")
        try:
            header: Any = json.loads(stream.read(length), object_pairs_hook=table_without_repeats)
        except (ValueError, RecursionError) as error:
            found = one_line(str(error), 120)
            raise CheckpointError("the header of the safetensors file is damaged", found=found) from error
    if not isinstance(header, dict):
        raise CheckpointError("the header of the safetensors file is damaged", found="not a table of tensors")
    names = [name for name in header if name != "__metadata__"]
    expect_count(len(names))
    return names


def table_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries as a table; a name that comes twice would mean one tensor here and another elsewhere."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name comes twice")
    return table
