"""What the processes of a torch.distributed group agree on."""

from __future__ import annotations

import torch
import torch.distributed as dist


def exchange_device() -> torch.device:
    """Return the device whose tensors the default group exchanges."""
    on_gpu = dist.get_backend() == "nccl"
    return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")


def all_agree(yes: bool) -> bool:
    """Say whether every process of the default group says yes."""
    flag = torch.tensor(int(yes), device=exchange_device())
    dist.all_reduce(flag, op=dist.ReduceOp.MIN)
    return bool(flag)
