"""The processes of one machine: they hold rows once for all of them, in memory that they map."""

from __future__ import annotations

import io
import math
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from typing_extensions import override

from repdiag.core.distributed.first_process import local_process_count, local_rank
from repdiag.core.errors import MetricError, RepdiagError
from repdiag.core.large_tensor import large_tensor

T = TypeVar("T")
_MEMORY = Path("/dev/shm")  # where Linux keeps files in memory
_SMALL = 2**16  # bytes of a tensor that every process may have for itself


def once_a_machine(shape: Sequence[int], dtype: torch.dtype, fill: Callable[[Tensor], None]) -> Tensor:
    """Return a tensor on the CPU that the first process of each machine fills, and the others of it map.

    Every process of the default group makes this same call. A `RepdiagError` of `fill` is raised in all of the machine;
    none of them may write to the tensor afterwards.
    """

    def built() -> Tensor:
        tensor, path = _in_a_file(shape, dtype)
        fill(tensor)
        return _Shared(tensor, path)  # type: ignore[return-value]

    if local_process_count() == 1:
        alone = large_tensor(shape, dtype)
        fill(alone)
        return alone
    return told_by_first(built)


def told_by_first(find: Callable[[], T]) -> T:
    """Return what the first process of each machine finds; larger tensors in it are held once for all its processes.

    Every process of the default group makes this same call. What is found has to be data that pickle takes; a
    `RepdiagError` is raised in all processes of the machine.
    """
    if local_process_count() == 1:
        return find()
    group, source = _of_this_machine(), dist.get_rank() - local_rank()
    writer, failed = _Writer(), None
    if local_rank() == 0:
        try:
            writer.dump(find())
        except RepdiagError as error:
            failed = error
    box: list[Any] = [(writer.written(), failed)]
    dist.broadcast_object_list(box, src=source, group=group)
    message, failed = box[0]
    found = None if failed is not None else _Reader(io.BytesIO(message)).load()
    dist.barrier(group=group)  # all have mapped the files: nothing needs their names any more
    for file in writer.files:
        file.unlink(missing_ok=True)
    if failed is not None:
        raise failed
    return cast("T", found)


@dataclass(frozen=True)
class _Shared:
    """A tensor that lies in a file already."""

    tensor: Tensor
    path: Path


class _Writer(pickle.Pickler):
    """Writes data whose larger tensors lie in files of their own."""

    def __init__(self) -> None:
        self._text = io.BytesIO()
        super().__init__(self._text)
        self.files = list[Path]()

    def written(self) -> bytes:
        """Return what was written."""
        return self._text.getvalue()

    @override
    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, _Shared):
            tensor, path = obj.tensor, obj.path
        elif isinstance(obj, Tensor) and obj.layout == torch.strided and obj.nbytes >= _SMALL:
            tensor, path = _in_a_file(obj.shape, obj.dtype)
            tensor.copy_(obj)
        else:
            return None
        self.files.append(path)
        return str(path), tuple(tensor.shape), tensor.dtype


class _Reader(pickle.Unpickler):
    """Reads what a `_Writer` of the same machine wrote, and maps its files."""

    @override
    def persistent_load(self, pid: Any) -> Tensor:
        path, shape, dtype = pid
        return torch.from_file(path, shared=True, size=math.prod(shape), dtype=dtype).view(*shape)


def _in_a_file(shape: Sequence[int], dtype: torch.dtype) -> tuple[Tensor, Path]:
    """Return an empty tensor in a file: in memory where there is room for it, else in the folder for temporary ones."""
    size = math.prod(shape) * dtype.itemsize
    folder = _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2 * size else None
    descriptor, name = tempfile.mkstemp(prefix="repdiag-rows-", dir=folder)
    try:
        os.posix_fallocate(descriptor, 0, max(1, size))  # now: a disk that fills up later would end the process
    except OSError as error:
        Path(name).unlink()
        raise MetricError(
            "there is no room for the rows that the processes of this machine share",
            found=f"{size / 2**30:.1f} GiB, {Path(name).parent}: {error.strerror}",
            hint="set TMPDIR to a folder on a larger disk",
        ) from error
    finally:
        os.close(descriptor)
    return torch.from_file(name, shared=True, size=math.prod(shape), dtype=dtype).view(*shape), Path(name)


_OF_WORLD: list[tuple[object, dist.ProcessGroup]] = []


def _of_this_machine() -> dist.ProcessGroup:
    """Return the group of the processes of this machine; all processes of the default group make all groups."""
    world = dist.group.WORLD
    if not _OF_WORLD or _OF_WORLD[0][0] is not world:
        _OF_WORLD.clear()
        count, mine = local_process_count(), dist.get_rank() - local_rank()
        for first in range(0, dist.get_world_size(), count):
            ranks = list(range(first, min(dist.get_world_size(), first + count)))
            group = cast("dist.ProcessGroup", dist.new_group(ranks, backend="gloo"))
            if first == mine:
                _OF_WORLD.append((world, group))
    return _OF_WORLD[0][1]
