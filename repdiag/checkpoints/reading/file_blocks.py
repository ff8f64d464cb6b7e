"""The bytes of a file as tensors: copied into memory, or mapped, which takes memory only while they are looked at.

A mapped file that a training writes again ends the process that looks at it, or changes its numbers. Mapped is only
what is looked at once, and copied where it stays: into a network, or by `read` for whoever does not ask otherwise.
"""

from __future__ import annotations

import mmap
import weakref
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from repdiag.checkpoints.reading.zip_check import FETCH_AGAIN
from repdiag.core.errors import CheckpointError

_OPEN: weakref.WeakSet[MappedFile] = weakref.WeakSet()


@runtime_checkable
class FileBlocks(Protocol):
    """Bytes of a file by their place."""

    def block(self, start: int, size: int) -> Tensor:
        """Return so many bytes [size] from a place on."""


class CopiedFile:
    """Blocks in memory of their own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def block(self, start: int, size: int) -> Tensor:
        """Return so many bytes [size] from a place on."""
        block = torch.empty(size, dtype=torch.uint8)
        left = memoryview(block.numpy().data)
        with self._path.open("rb", buffering=0) as stream:
            stream.seek(start)
            while left:  # one call gives 2 GiB at most
                got = stream.readinto(left)
                if not got:
                    raise _shorter()
                left = left[got:]
        return block


class MappedFile:
    """Blocks of a private map of the whole file, which is closed when the last tensor in it is gone."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        self._whole = torch.frombuffer(self._map, dtype=torch.uint8)
        _OPEN.add(self)

    def block(self, start: int, size: int) -> Tensor:
        """Return so many bytes [size] from a place on."""
        block = self._whole[start : start + size]
        if len(block) != size:
            raise _shorter()
        return block

    def holds(self, tensor: Tensor) -> bool:
        """Say whether the numbers of a tensor lie in this file."""
        return 0 <= tensor.data_ptr() - self._whole.data_ptr() < len(self._map)

    def forget(self, tensor: Tensor | None = None) -> None:
        """Give back the memory of a tensor that nobody wrote to, or of all; looking again reads the file again."""
        tensor = self._whole if tensor is None else tensor
        start = tensor.data_ptr() - self._whole.data_ptr()
        end = start + tensor.numel() * tensor.element_size()
        first = start // mmap.PAGESIZE * mmap.PAGESIZE
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED, first, min(end, len(self._map)) - first)


def forget_pages(tensor: Tensor) -> None:
    """Give back the memory of a tensor that lies in a mapped file and was not written to; others are left alone."""
    for file in list(_OPEN):
        if tensor.numel() and file.holds(tensor):
            file.forget(tensor)


def forget_all_pages() -> None:
    """Give back the memory of all that was looked at in mapped files, as joining tensors under other names does."""
    for file in list(_OPEN):
        file.forget()


def _shorter() -> CheckpointError:
    return CheckpointError("the file became shorter while it was read", hint=FETCH_AGAIN)
