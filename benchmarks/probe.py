"""What this machine reaches right now: the rate of a float32 matrix product, to hold a measurement against.

Time is processor time of one thread, so that other work on the machine slows the clock of neither side. A probe stands
before and after every measurement, long enough to run at the speed that the machine keeps up: the best of a few short
products is some 15 % faster than any minute of them.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

TILE = 1024


@dataclass(frozen=True)
class Measured:
    """Seconds of processor time, the FLOP rate that a matrix product reached beside it, and what was returned."""

    seconds: float
    flop_rate: float
    result: Any

    def over(self, flop: float) -> float:
        """Return the time over that of a matrix product of `flop` operations: 1.0 is at the limit."""
        return self.seconds * self.flop_rate / flop


def matrix_product_rate(dims: int, *, seconds: float = 1.0) -> float:
    """Return the FLOP per second of [1024, D] x [D, 1024] products of ever other rows, kept up for some seconds."""
    left, right = torch.randn(TILE, dims), torch.randn(8 * TILE, dims)
    out = torch.empty(TILE, TILE)
    torch.mm(left, right[:TILE].T, out=out)
    count, start = 0, time.process_time()
    while time.process_time() - start < seconds:
        for columns in right.split(TILE):
            torch.mm(left, columns.T, out=out)
            count += 1
    return 2.0 * TILE * TILE * dims * count / (time.process_time() - start)


def measure(run: Callable[[], Any], *, dims: int) -> Measured:
    """Run once, with a probe before and after: the time a product takes is the mean of theirs."""
    before = matrix_product_rate(dims)
    start = time.process_time()
    result = run()
    seconds = time.process_time() - start
    after = matrix_product_rate(dims)
    return Measured(seconds, 2.0 / (1.0 / before + 1.0 / after), result)


def peak_memory_mib() -> float:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
