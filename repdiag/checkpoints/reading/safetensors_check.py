"""Reads safetensors files: the format itself cannot run anything, so only its declared sizes are checked first."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from repdiag.checkpoints.reading.bounded_tree import expect_count, shown_names
from repdiag.checkpoints.reading.file_blocks import FileBlocks
from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

_MAX_HEADER_BYTES = 6 * 2**20  # which JSON may turn into forty times as much memory
_TYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}


def read_safetensors(path: Path, blocks: FileBlocks) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors, taken from the blocks of the file, and the header's metadata."""
    from safetensors import SafetensorError, safe_open

    header, start = _header(path)
    shown = shown_names(header)
    try:
        with path.open("rb") as stream:
            # The library takes paths in UTF-8 only. It has checked all that the header says before it gives a name.
            address = f"/proc/self/fd/{stream.fileno()}" if _is_odd(path) else str(path)
            with safe_open(address, framework="pt", device="cpu") as whole:
                tensors = {
                    shown[name]: _tensor(header[name], blocks, start=start) if header[name]["dtype"] in _TYPES
                    else whole.get_tensor(name).clone()
                    for name in whole.keys()  # noqa: SIM118 - not a mapping
                }  # fmt: skip
                metadata = dict(whole.metadata() or {})
    except (SafetensorError, OSError, ValueError, TypeError, RuntimeError, AttributeError, OverflowError) as error:
        found = one_line(str(error), 120)
        raise CheckpointError("the safetensors file is damaged", found=found, hint=FETCH_AGAIN) from error
    return tensors, metadata


def _tensor(entry: Mapping[str, Any], blocks: FileBlocks, *, start: int) -> Tensor:
    dtype, (first, last) = _TYPES[entry["dtype"]], entry["data_offsets"]
    if first == last:
        return torch.empty(entry["shape"], dtype=dtype)
    numbers = blocks.block(start + first, last - first)
    numbers = numbers.clone() if numbers.data_ptr() % dtype.itemsize else numbers
    return numbers.view(dtype).reshape(entry["shape"])


def _is_odd(path: Path) -> bool:
    return str(path) != str(path).encode("utf-8", "replace").decode()


def looks_like_safetensors(start: bytes, size: int) -> bool:
    """Say whether a file that begins with these bytes can only be a safetensors file."""
    return len(start) > 8 and struct.unpack("<Q", start[:8])[0] <= size - 8 and start[8:9] == b"{"


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """Return what the header says of each tensor, and where the numbers begin."""
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
    header.pop("__metadata__", None)
    expect_count(len(header))
    return header, 8 + length


def table_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the entries as a table; a name that comes twice would mean one tensor here and another elsewhere."""
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name comes twice")
    return table
