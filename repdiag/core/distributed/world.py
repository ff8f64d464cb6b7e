"""Several processes that train one model, as started by torchrun; one process is the ordinary case."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from repdiag.core.distributed.agreement import exchange_device
from repdiag.core.distributed.first_process import local_rank, process_count

_PATIENCE = timedelta(days=7)


@dataclass(frozen=True)
class World:
    """This process's place among all of them."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and talks to the user."""
        return self.rank == 0

    def agree(self, value: int) -> int:
        """Return the largest `value` of all processes, so that all take the same decision."""
        if self.size == 1:
            return value
        shared = torch.tensor(value, device=exchange_device())
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return int(shared)

    def average(self, values: Tensor) -> Tensor:
        """Return the mean of `values` over all processes."""
        if self.size == 1:
            return values
        total = values.clone()
        dist.all_reduce(total)
        return total / self.size

    def wait(self) -> None:
        """Return when all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def wait_for_long_work(self) -> None:
        """Return when all processes have come here, however many hours the slowest takes.

        An ordinary barrier gives up after the group's time limit, ten to thirty minutes. One that dies is noticed.
        """
        if self.size > 1:
            patient = cast("dist.ProcessGroup", dist.new_group(backend="gloo", timeout=_PATIENCE))
            dist.barrier(group=patient)
            dist.destroy_process_group(patient)

    def wrap(self, method: nn.Module) -> nn.Module:
        """Return the module whose backward pass averages gradients over processes."""
        if self.size == 1:
            return method
        return DistributedDataParallel(method, broadcast_buffers=False)


@contextlib.contextmanager
def join_world(*, on_gpu: bool) -> Iterator[World]:
    """Join the processes that torchrun started; outside of torchrun this process is alone.

    A process group that the caller has set up is used and left as it is.
    """
    if process_count() <= 1:
        yield World()
        return
    place = local_rank()
    if on_gpu:
        torch.cuda.set_device(place)
    is_ours = not dist.is_initialized()
    if is_ours:
        dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield World(dist.get_rank(), dist.get_world_size(), place)
    finally:
        if is_ours:
            dist.destroy_process_group()
