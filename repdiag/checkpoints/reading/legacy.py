"""The layout that torch wrote before 1.6: five pickles in a row, then the numbers of every storage."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from repdiag.checkpoints.reading.restricted_unpickler import RestrictedUnpickler
from repdiag.checkpoints.reading.stand_ins import StorageRecord
from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN, Record
from repdiag.core.errors import CheckpointError

MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001


def read_legacy(path: Path) -> tuple[RestrictedUnpickler, Any, dict[str, Record]]:
    """Return the unpickler of the main pickle, its inert value, and where each storage's numbers lie."""
    with path.open("rb") as stream:
        if _load(stream)[1] != MAGIC or _load(stream)[1] != _PROTOCOL:
            raise CheckpointError("the file is a pickle, but not one that torch wrote")
        system = _load(stream)[1]
        if not isinstance(system, dict) or system.get("little_endian") is not True:
            raise CheckpointError("the file was written on a big-endian machine")
        machine, tree = _load(stream)
        keys = _load(stream)[1]
        if not isinstance(keys, list) or len({str(key) for key in keys}) != len(keys):
            raise CheckpointError("the list of storages is damaged")
        start, size = stream.tell(), path.stat().st_size
        return machine, tree, _locate(stream, keys, machine.storages.values(), start=start, size=size)


def _load(stream: BufferedIOBase) -> tuple[RestrictedUnpickler, Any]:
    machine = RestrictedUnpickler(stream)
    return machine, machine.load()


def _locate(
    stream: BufferedIOBase, keys: list[Any], storages: Iterable[StorageRecord], *, start: int, size: int
) -> dict[str, Record]:
    declared = {storage.key: storage for storage in storages}
    records: dict[str, Record] = {}
    for key in map(str, keys):
        if key not in declared:
            raise CheckpointError("the file holds numbers that nothing refers to", found=f"storage {key[:40]}")
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
        raise CheckpointError("the file goes on after its last storage", found=f"{size - start} bytes more")
    return records
