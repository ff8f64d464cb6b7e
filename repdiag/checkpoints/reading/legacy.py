"""The layout that torch wrote before 1.6: five pickles in a row, then the numbers of every storage."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from repdiag.checkpoints.reading.other_files import PICKLE_HINT
from repdiag.checkpoints.reading.restricted_unpickler import RestrictedUnpickler
from repdiag.checkpoints.reading.stand_ins import StorageRecord
from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN, MAX_PICKLE_BYTES, Record
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief, one_line

MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_legacy(path: Path) -> tuple[RestrictedUnpickler, Any, dict[str, Record]]:
    """Return the unpickler of the main pickle, its inert value, and where each storage's numbers lie."""
    with path.open("rb") as file:
        stream = io.BytesIO(file.read(MAX_PICKLE_BYTES))  # in which no length that a pickle states can be exceeded
        if not _is(stream, MAGIC) or not _is(stream, _PROTOCOL):
            raise CheckpointError("the file is a pickle, but not one that torch wrote", hint=PICKLE_HINT)
        system = _load(stream)[1]
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise CheckpointError("the file was written on a big-endian machine")
        machine, tree = _load(stream)
        keys = _keys(_load(stream)[1])
        start, size = stream.tell(), path.stat().st_size
        return machine, tree, _locate(file, keys, machine.storages, start=start, size=size)


def _load(stream: BufferedIOBase) -> tuple[RestrictedUnpickler, Any]:
    machine = RestrictedUnpickler(stream)
    return machine, machine.load()


def _is(stream: BufferedIOBase, number: int) -> bool:
    value = _load(stream)[1]
    return isinstance(value, int) and value == number


def _keys(value: Any) -> list[str]:
    """Return the names of the storages in the order of their numbers."""
    if not isinstance(value, list) or not all(isinstance(key, str | int) and len(brief(key)) <= 60 for key in value):
        raise CheckpointError("the list of storages is damaged", found=brief(value))
    keys = [str(key) for key in value]
    if len(set(keys)) != len(keys):
        raise CheckpointError("the list of storages is damaged", found="a storage comes twice")
    return keys


def _locate(
    stream: BufferedIOBase, keys: list[str], declared: Mapping[str, StorageRecord], *, start: int, size: int
) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for key in keys:
        if key not in declared:
            found = f"storage {one_line(key, 40)}"
            raise CheckpointError("the file holds numbers that nothing refers to", found=found)
        stream.seek(start)
        header = stream.read(8)
        storage = declared[key]
        bytes_needed = storage.numel * storage.dtype.itemsize
        if len(header) < 8 or struct.unpack("<q", header)[0] != storage.numel or start + 8 + bytes_needed > size:
            found = f"{size:,} bytes, which end within the numbers of its {len(records) + 1}. of {len(keys)} tensors"
            raise CheckpointError("the file is cut off or damaged", found=found, hint=FETCH_AGAIN)
        records[key] = Record(start + 8, bytes_needed)
        start += 8 + bytes_needed
    if start != size:
        raise CheckpointError("the file continues after its last storage", found=f"{size - start} bytes more")
    return records
