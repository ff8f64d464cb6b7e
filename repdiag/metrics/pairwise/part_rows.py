"""Names for the parts of the rows that a metric is evaluated on: what is found of a part may outlive its tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from repdiag.metrics.pairwise.sharing import tensor_key


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some of the rows of a set: `name` tells them from others for as long as the set lives."""

    whole: Tensor
    name: tuple[object, ...]


_PART: ContextVar[Part | None] = ContextVar("repdiag_part_of_rows", default=None)


@contextmanager
def part_of(whole: Tensor, index: NDArray[np.int64]) -> Iterator[None]:
    """Say that within the block the rows of that index are evaluated."""
    name = tensor_key(whole), blake2b(index.tobytes(), digest_size=16).digest()
    token = _PART.set(Part(whole=whole, name=name))
    try:
        yield
    finally:
        _PART.reset(token)


def current_part() -> Part | None:
    """Return the part that is evaluated, None where it is a whole set."""
    return _PART.get()
