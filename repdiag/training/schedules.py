"""Schedules as pure functions of the step, so that a resumed run continues them without any state."""

from __future__ import annotations

import math


def cosine(step: int | float, total: int | float, *, start: float, end: float) -> float:
    """Return `start` at step 0 and `end` at `total`, half a cosine in between, constant outside."""
    part = min(max(step / total, 0.0), 1.0) if total > 0 else 1.0
    return end + (start - end) * 0.5 * (1.0 + math.cos(math.pi * part))


def warmup_cosine(step: int, total: int, *, peak: float, warmup: int | float, end: float = 0.0) -> float:
    """Return the value of the 0-based step: linear up to `peak` over `warmup` steps, then a cosine to `end`.

    The first step already gets peak / warmup; the cosine starts at `peak` and would reach `end` at step `total`.
    """
    if step < warmup:
        return peak * (step + 1) / max(warmup, 1.0)
    return cosine(step - warmup, total - warmup, start=peak, end=end)


def warmup_factor(step: int, warmup: int | float) -> float:
    """Return the part of the peak that the 0-based step gets: linear up to 1 over `warmup` steps.

    Example:
        >>> [warmup_factor(step, 4) for step in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return min(1.0, (step + 1) / warmup) if warmup > 0 else 1.0
