"""Where the rows that a pass multiplies are kept: in memory, or in a file where memory would not hold them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from repdiag.core.distributed.machine import once_a_machine
from repdiag.core.large_tensor import SHARE, large_tensor
from repdiag.core.memory import available_memory
from repdiag.metrics.pairwise.processes import shared


def working_copy(features: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an empty contiguous tensor of the shape and device of `features`; on a CPU a `large_tensor`."""
    if features.is_cuda:
        return torch.empty_like(features, dtype=dtype, memory_format=torch.contiguous_format)
    return large_tensor(features.shape, dtype)


def filled_copy(features: Tensor, dtype: torch.dtype, fill: Callable[[Tensor], None]) -> Tensor:
    """Return a working copy that `fill` has filled; processes that share the work hold one on each machine."""
    if shared() and not features.is_cuda:
        return once_a_machine(features.shape, dtype, fill)
    copy = working_copy(features, dtype)
    fill(copy)
    return copy


def resident_rows(dims: int, itemsize: int, *, like: Tensor) -> int:
    """Return how many rows of a working copy one set may be expected to keep in memory while another set does too."""
    if like.is_cuda:
        return len(like)
    return int(SHARE * SHARE * available_memory()) // (dims * itemsize)
