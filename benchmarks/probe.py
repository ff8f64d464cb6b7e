"""What this machine reaches right now: the rate of a float32 matrix product, to hold a measurement against.

Time is processor time of one thread, so that other work on the machine slows the clock of neither side; a probe stands
before and after every measurement and the faster one counts.
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


def matrix_product_rate(dims: int, *, repeats: int = 8) -> float:
    """Return FLOP per second of [1024, D] x [D, 1024], the best of a few."""
    left, right = torch.randn(TILE, dims), torch.randn(TILE, dims)
    out = torch.empty(TILE, TILE)
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        torch.mm(left, right.T, out=out)
        best = min(best, time.process_time() - start)
    return 2.0 * TILE * TILE * dims / best


def measure(run: Callable[[], Any], *, dims: int) -> Measured:
    """Run once, with a probe before and after."""
    before = matrix_product_rate(dims)
    start = time.process_time()
    result = run()
    seconds = time.process_time() - start
    return Measured(seconds, max(before, matrix_product_rate(dims)), result)


def peak_memory_mib() -> float:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
