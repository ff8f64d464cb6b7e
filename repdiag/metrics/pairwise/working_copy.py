"""Where the rows that a pass multiplies are kept: in memory, or in a file where memory would not hold them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.memory import available_memory

_SHARE = 0.5  # of the memory at hand that one working copy may take


def working_copy(features: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an empty contiguous tensor of the shape and device of `features`.

    On a CPU, one that would take more than half of the memory at hand lies in a nameless file in the folder for
    temporary files, mapped into memory, and is gone with the tensor. Raises `MetricError` if the disk is too small.
    """
    size = features.numel() * dtype.itemsize
    if features.is_cuda or size <= _SHARE * available_memory():
        return torch.empty_like(features, dtype=dtype, memory_format=torch.contiguous_format)
    return _in_a_file(features, dtype, size)


def resident_rows(dims: int, itemsize: int, *, like: Tensor) -> int:
    """Return how many rows of a working copy one set may be expected to keep in memory while another set does too."""
    if like.is_cuda:
        return len(like)
    return int(_SHARE * _SHARE * available_memory()) // (dims * itemsize)


def _in_a_file(features: Tensor, dtype: torch.dtype, size: int) -> Tensor:
    descriptor, name = tempfile.mkstemp(prefix="repdiag-rows-")
    try:
        # Reserved now: a disk that fills up under a mapping would end the process.
        os.posix_fallocate(descriptor, 0, size)
        flat = torch.from_file(name, shared=True, size=features.numel(), dtype=dtype)
    except OSError as error:
        raise MetricError(
            "the rows fit neither into memory nor into the folder for temporary files",
            found=f"{size / 2**30:.1f} GiB, {tempfile.gettempdir()}: {error.strerror}",
            hint="set TMPDIR to a folder on a larger disk",
        ) from error
    finally:
        os.close(descriptor)
        Path(name).unlink()
    return flat.view(features.shape)
