"""`Storages`: the numbers of a torch file, fetched when a tensor first asks for them, each block once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from repdiag.checkpoints.reading.file_blocks import CopiedFile, FileBlocks
from repdiag.checkpoints.reading.stand_ins import StorageRecord, TensorRecord
from repdiag.checkpoints.reading.zip_check import Record
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

_SPARE_BYTES = 64 * 2**20


class Storages:
    """Makes the tensors of one file; all of its declared storages must be as long as their records."""

    def __init__(
        self,
        path: Path,
        *,
        blocks: FileBlocks,
        records: Mapping[str, Record],
        declared: Mapping[str, StorageRecord],
    ) -> None:
        self._path = path
        self._blocks = blocks
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
        typed = self._typed(record)
        return typed.as_strided(record.shape, record.stride, typed.storage_offset() + record.offset)

    def _typed(self, record: TensorRecord) -> Tensor:
        """Return all numbers of the record's storage."""
        key, place = record.storage.key, self._records[record.storage.key]
        if key not in self._numbers:
            self._numbers[key] = self._blocks.block(place.start, place.size)
        if self._numbers[key].data_ptr() % record.dtype.itemsize:  # not where numbers of this type may lie
            self._numbers[key] = CopiedFile(self._path).block(place.start, place.size)
        return self._numbers[key].view(record.dtype)
