"""Rows shared out among processes: each extracts a part, and all end with every row, in order."""

from __future__ import annotations

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.distributed.agreement import exchange_device
from repdiag.core.distributed.machine import gathered_once_a_machine
from repdiag.core.errors import UsageError


def require_group() -> None:
    """Raise `UsageError` where there is no group of processes to share the rows."""
    if not dist.is_available() or not dist.is_initialized():
        raise UsageError(
            "there is no group of processes to share the extraction",
            hint="start with torchrun and call torch.distributed.init_process_group first",
        )


def rows_of_this_process(count: int) -> NDArray[np.int64]:
    """Return the consecutive rows of 0..count that fall to this process: the first ones get one more if need be."""
    return np.array_split(np.arange(count), dist.get_world_size())[dist.get_rank()]


def from_all_processes(own: Tensor, *, count: int, axis: int) -> Tensor:
    """Return the rows of all processes, `count` along `axis`, out of this one's: the same everywhere, on the CPU.

    They are held once on each machine, in memory that its processes map: nobody may write to them.
    """
    place = exchange_device()
    ends = np.cumsum([0, *(len(part) for part in np.array_split(np.arange(count), dist.get_world_size()))])
    shape = list(own.shape)
    shape[axis] = count

    def receive(whole: Tensor | None) -> None:
        for rank in range(dist.get_world_size()):
            first, last = int(ends[rank]), int(ends[rank + 1])
            mine = rank == dist.get_rank()
            part = own if mine else own.new_empty([*shape[:axis], last - first, *shape[axis + 1 :]])
            part = part.to(place).contiguous()
            dist.broadcast(part, src=rank)
            if whole is not None:
                whole.narrow(axis, first, last - first).copy_(part)

    return gathered_once_a_machine(shape, own.dtype, receive)
