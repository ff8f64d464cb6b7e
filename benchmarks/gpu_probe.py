"""What a GPU reaches right now: matrix products in three precisions and a copy, by the device's own clock."""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch

SIDE = 8192


def seconds(run: Callable[[], object], *, rounds: int = 5, warm_up: int = 1) -> float:
    """Return the median time of a call on the device, everything that it queued included."""
    taken = []
    for number in range(warm_up + rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        if number >= warm_up:
            taken.append(start.elapsed_time(end) / 1e3)
    return statistics.median(taken)


def product_rate(precision: str, dims: int) -> float:
    """Return the FLOP per second of [8192, D] x [D, 8192] products with float32 results.

    Precision as in `torch.set_float32_matmul_precision`; "medium" multiplies bfloat16 rows.
    """
    left, right = (torch.randn(SIDE, dims, device="cuda") for _ in range(2))
    out = torch.empty(SIDE, SIDE, device="cuda")
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        if precision == "medium":
            left, right = left.bfloat16(), right.bfloat16()
            taken = seconds(lambda: torch.mm(left, right.T, out_dtype=torch.float32, out=out), rounds=20)
        else:
            taken = seconds(lambda: torch.mm(left, right.T, out=out), rounds=20)
    finally:
        torch.set_float32_matmul_precision(before)
    return 2.0 * SIDE * SIDE * dims / taken


def bfloat16_rate() -> float:
    """Return the FLOP per second of a bfloat16 product of two 8192 x 8192 matrices."""
    left, right = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2.0 * SIDE**3 / seconds(lambda: left @ right, rounds=10)


def copy_rate() -> float:
    """Return the bytes per second, read and written, of a copy of 2 GiB."""
    source = torch.randn(1 << 29, device="cuda")
    target = torch.empty_like(source)
    return 2.0 * source.nbytes / seconds(lambda: target.copy_(source))
