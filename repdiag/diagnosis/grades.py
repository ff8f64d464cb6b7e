"""Grades of a fault: what an interval touches and what it excludes, in words, and how many rows would decide."""

from __future__ import annotations

import math

from repdiag.diagnosis.intervals import Estimate
from repdiag.diagnosis.verdict import GRADES


def grade_range(found: Estimate, limits: tuple[float, float, float]) -> str:
    """Return the grades that the interval touches, of none, mild, marked, severe with these limits between them.

    Example:
        >>> grade_range(Estimate(0.01, -0.01, 0.03), (0.02, 0.05, 0.10))
        'none or mild'
    """
    low, high = (sum(end > limit for limit in limits) for end in (found.low, found.high))
    touched = GRADES[low : high + 1]
    if len(touched) == 1:
        return touched[0]
    return f"{touched[0]} {'or' if len(touched) == 2 else 'to'} {touched[-1]}"


def grade_of(value: float, limits: tuple[float, float, float]) -> str:
    """Return the grade of a value without an interval."""
    return GRADES[sum(value > limit for limit in limits)]


def rows_to_decide(found: Estimate, *, rows: int, none: float, marked: float) -> int | None:
    """Return about how many rows would move the interval off one of the limits; None where they have no width.

    Half the width falls with the root of the rows: for a value below the middle the upper end must come below `marked`,
    above it the lower end over `none`.
    """
    half = max(found.high - found.value, found.value - found.low)
    room = max(marked - found.value, found.value - none)
    if half <= 0.0 or room <= 0.0:
        return None
    return math.ceil(rows * (half / room) ** 2)
