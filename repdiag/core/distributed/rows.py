"""Rows shared out among processes: each extracts a part, and all end with every row, in order."""

from __future__ import annotations

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.distributed.agreement import exchange_device
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
    """Return the rows of all processes, `count` along `axis`, out of this one's; the same tensor everywhere."""
    size = dist.get_world_size()
    sizes = [len(part) for part in np.array_split(np.arange(count), size)]
    sent = own.movedim(axis, 0)
    # Equal parts are what every backend exchanges: the last row of a shorter part is filled up and cut off again.
    padded = sent.new_zeros((sizes[0], *sent.shape[1:]))
    padded[: len(sent)] = sent
    padded = padded.to(exchange_device())
    parts = [torch.empty_like(padded) for _ in range(size)]
    dist.all_gather(parts, padded)
    joined = torch.cat([part[:rows].to(own.device) for part, rows in zip(parts, sizes, strict=True)])
    return joined.movedim(0, axis).contiguous()
