"""Which rows the parts were cut from that a metric is evaluated on again, where it may start from what they gave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Whole:
    """All rows [N, D], and with how many seeds, from 0 on, an iterative metric was run on them."""

    features: Tensor
    first_seed: int
    seeds: int


_PART: ContextVar[bytes | None] = ContextVar("repdiag_part_of_rows", default=None)
_WHOLE: ContextVar[Whole | None] = ContextVar("repdiag_whole_rows", default=None)


@contextmanager
def parts_of(whole: Whole) -> Iterator[None]:
    """Say that within the block metrics are evaluated on parts of these rows."""
    token = _WHOLE.set(whole)
    try:
        yield
    finally:
        _WHOLE.reset(token)


def whole_of(features: Tensor) -> Whole | None:
    """Return the rows that these are a part of, None where they are nobody's part."""
    whole = _WHOLE.get()
    return None if whole is None or whole.features is features else whole


@contextmanager
def part(index: NDArray[np.int64]) -> Iterator[None]:
    """Name the part by the numbers of its rows, for what is found of it and outlives its tensors."""
    token = _PART.set(blake2b(index.tobytes(), digest_size=16).digest())
    try:
        yield
    finally:
        _PART.reset(token)


def part_name() -> bytes | None:
    """Return the name of the part that is evaluated, None where it has none."""
    return _PART.get()
