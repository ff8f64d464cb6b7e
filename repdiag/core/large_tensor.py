"""Tensors that may be larger than memory: then they lie in a file, mapped into memory, that is gone with them."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.core.memory import available_memory

SHARE = 0.5  # of the memory at hand that one of them may take


def large_tensor(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return an empty contiguous tensor on the CPU.

    One that would take more than half of the memory at hand lies in a nameless file in the folder for temporary files.
    Raises `MetricError` if the disk is too small.
    """
    size = math.prod(shape) * dtype.itemsize
    if size <= SHARE * available_memory():
        return torch.empty(*shape, dtype=dtype)
    return _in_a_file(shape, dtype, size)


def _in_a_file(shape: Sequence[int], dtype: torch.dtype, size: int) -> Tensor:
    descriptor, name = tempfile.mkstemp(prefix="repdiag-rows-")
    try:
        # Reserved now: a disk that fills up under a mapping would end the process.
        os.posix_fallocate(descriptor, 0, size)
        flat = torch.from_file(name, shared=True, size=math.prod(shape), dtype=dtype)
    except OSError as error:
        raise MetricError(
            "the rows fit neither into memory nor into the folder for temporary files",
            found=f"{size / 2**30:.1f} GiB, {tempfile.gettempdir()}: {error.strerror}",
            hint="set TMPDIR to a folder on a larger disk",
        ) from error
    finally:
        os.close(descriptor)
        Path(name).unlink()
    return flat.view(*shape)
