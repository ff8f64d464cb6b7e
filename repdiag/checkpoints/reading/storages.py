"""`Storages`: the numbers of a torch file, read into memory when a tensor first asks for them, each block once.

They are copied rather than mapped: a mapped file that a training writes again ends the process that reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import RawIOBase

import torch
from torch import Tensor

from repdiag.checkpoints.reading.stand_ins import StorageRecord, TensorRecord
from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN, Record
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

_SPARE_BYTES = 64 * 2**20


class Storages:
    """Makes the tensors of one file; all of its declared storages must be as long as their records."""

    def __init__(self, stream: RawIOBase, records: Mapping[str, Record], declared: Mapping[str, StorageRecord]) -> None:
        self._stream = stream
        self._records = records
        self._numbers: dict[str, Tensor] = {}
        self._views: set[TensorRecord] = set()
        for storage in declared.values():
            record = records.get(storage.key)
            if record is None or record.size != storage.numel * storage.dtype.itemsize:
                size = record.size if record else 0
                found = f"storage {one_line(storage.key, 40)}: {storage.numel} numbers in {size} bytes"
                raise CheckpointError("the sizes in the file do not agree", found=found)
        # Tensors may share numbers, as tied weights do; many views of one storage would be copied in full each.
        self._left = 2 * sum(records[key].size for key in declared) + _SPARE_BYTES

    def tensor(self, record: TensorRecord) -> Tensor:
        """Return the tensor of a record that has been checked against its storage."""
        if 0 in record.shape:
            return torch.empty(record.shape, dtype=record.dtype)
        if record not in self._views:
            self._views.add(record)
            self._left -= record.dtype.itemsize * torch.Size(record.shape).numel()
        if self._left < 0:
            raise CheckpointError("the tensors of the file share their numbers more often than weights do")
        typed = self._read(record.storage.key).view(record.dtype)
        return typed.as_strided(record.shape, record.stride, record.offset)

    def _read(self, key: str) -> Tensor:
        if key not in self._numbers:
            place = self._records[key]
            numbers = torch.empty(place.size, dtype=torch.uint8)
            self._stream.seek(place.start)
            view = memoryview(numbers.numpy().data)
            while view:  # a raw file may give less than it is asked for
                got = self._stream.readinto(view) or 0
                if not got:
                    raise CheckpointError("the file became shorter while it was read", hint=FETCH_AGAIN)
                view = view[got:]
            self._numbers[key] = numbers
        return self._numbers[key]
