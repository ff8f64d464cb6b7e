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

from repdiag.core.distributed.agreement import all_agree, exchange_device
from repdiag.core.distributed.first_process import local_process_count, local_rank
from repdiag.core.errors import MetricError, RepdiagError, UsageError
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

    if _of_this_machine().alone:
        alone = large_tensor(shape, dtype)
        fill(alone)
        return alone
    return told_by_first(built)


def gathered_once_a_machine(
    shape: Sequence[int], dtype: torch.dtype, receive: Callable[[Tensor | None], None]
) -> Tensor:
    """Return a tensor on the CPU that is filled by an exchange of all processes, and held once on each machine.

    Every process of the default group makes this same call; `receive` takes part in the exchange, and writes what comes
    where it is given the tensor, which only the first process of each machine is.
    """
    machine = _of_this_machine()
    if machine.alone:
        alone = large_tensor(shape, dtype)
        receive(alone)
        return alone
    tensor, path = _in_a_file(shape, dtype) if local_rank() == 0 else (None, Path())
    receive(tensor)
    return told_by_first(lambda: _Shared(tensor, path))  # type: ignore[arg-type,return-value]


def told_by_first(find: Callable[[], T]) -> T:
    """Return what the first process of each machine finds; larger tensors in it are held once for all its processes.

    Every process of the default group makes this same call. What is found has to be data that pickle takes; a
    `RepdiagError` on any machine is raised in all processes.
    """
    if not dist.is_available() or not dist.is_initialized():
        return find()
    machine = _of_this_machine()
    if machine.alone:
        return _agreed(*_tried(find))
    group, source = machine.group, machine.ranks[0]
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
    return _agreed(cast("T", found), failed)


def told_by_first_of_all(value: T) -> T:
    """Return what the first process of all says, to every one; alone, the value itself."""
    if not dist.is_available() or not dist.is_initialized():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0, device=exchange_device())
    return box[0]


def _tried(find: Callable[[], T]) -> tuple[T | None, RepdiagError | None]:
    try:
        return find(), None
    except RepdiagError as error:
        return None, error


def _agreed(found: T | None, failed: RepdiagError | None) -> T:
    """Return what was found where nothing failed on any machine; else raise what failed, on all of them."""
    if not all_agree(failed is None):
        raise failed or MetricError("another machine could not read its part", hint="its own message says why")
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


@dataclass(frozen=True)
class _Machine:
    """The processes of this machine, by rank, and their group."""

    ranks: tuple[int, ...]
    group: dist.ProcessGroup | None

    @property
    def alone(self) -> bool:
        """Whether this process has no other beside it."""
        return len(self.ranks) == 1


_OF_WORLD: list[tuple[object, _Machine]] = []


def _of_this_machine() -> _Machine:
    """Return the processes of this machine, however many each machine runs; all processes make all groups together."""
    world = dist.group.WORLD
    if not _OF_WORLD or _OF_WORLD[0][0] is not world:
        _OF_WORLD.clear()
        _OF_WORLD.append((world, _found_machine()))
    return _OF_WORLD[0][1]


def _found_machine() -> _Machine:
    size, rank = dist.get_world_size(), dist.get_rank()
    said: list[tuple[int, int]] = [(0, 0)] * size
    dist.all_gather_object(said, (local_rank(), local_process_count()))
    found = _Machine(ranks=(rank,), group=None)
    for ranks in machines_of(said):
        if len(ranks) > 1:
            group = cast("dist.ProcessGroup", dist.new_group(ranks, backend="gloo"))
            if rank in ranks:
                found = _Machine(ranks=tuple(ranks), group=group)
    return found


def machines_of(said: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Return the ranks of each machine, from every process's place on its machine and the number of them there.

    Example:
        >>> machines_of([(0, 2), (1, 2), (0, 1)])
        [[0, 1], [2]]
    """
    machines: list[list[int]] = []
    for one, (place, count) in enumerate(said):
        if place == 0:
            machines.append([])
        if not machines or place != len(machines[-1]) or count != said[machines[-1][0] if place else one][1]:
            raise UsageError(
                "the processes do not tell which of them share a machine",
                found=f"process {one} of {len(said)}: LOCAL_RANK {place}, LOCAL_WORLD_SIZE {count}",
                hint="torchrun numbers the processes of each machine from 0, one machine after the other",
            )
        machines[-1].append(one)
    short = [ranks for ranks in machines if len(ranks) != said[ranks[0]][1]]
    if short:
        raise UsageError(
            "the number of processes on a machine differs from LOCAL_WORLD_SIZE",
            found=f"{len(short[0])} for LOCAL_WORLD_SIZE {said[short[0][0]][1]}",
            hint="start all processes by torchrun",
        )
    return machines
