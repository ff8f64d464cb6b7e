"""Where the rows that a pass multiplies are kept: in memory, or in a file where memory would not hold them."""

from __future__ import annotations

import torch
from torch import Tensor

from repdiag.core.large_tensor import SHARE, large_tensor
from repdiag.core.memory import available_memory


def working_copy(features: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an empty contiguous tensor of the shape and device of `features`; on a CPU a `large_tensor`."""
    if features.is_cuda:
        return torch.empty_like(features, dtype=dtype, memory_format=torch.contiguous_format)
    return large_tensor(features.shape, dtype)


def resident_rows(dims: int, itemsize: int, *, like: Tensor) -> int:
    """Return how many rows of a working copy one set may be expected to keep in memory while another set does too."""
    if like.is_cuda:
        return len(like)
    return int(SHARE * SHARE * available_memory()) // (dims * itemsize)
