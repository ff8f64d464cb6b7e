"""Whether our own GPU kernels can run: they are written in Triton, which comes with torch on Linux."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

from torch import Tensor


def runs_kernels(tensor: Tensor) -> bool:
    """Say whether the tensor lies on a GPU for which kernels can be compiled here."""
    return tensor.is_cuda and _has_triton()


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None
