"""What was typed about reading a checkpoint, as values: "8,18" is a grid, "1,none" a stem, ".5,.5,.5" a mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import UsageError

if TYPE_CHECKING:
    from repdiag.checkpoints.read_options import ReadOptions

Told = Mapping[str, Any]
"""What was typed for each option; None where nothing was."""


def read_options_of(told: Told) -> ReadOptions:
    """Return what the command line says about reading a file."""
    from repdiag.checkpoints.read_options import ReadOptions

    given = {name: value for name, value in told.items() if value is not None}
    for name, least in (("mean", 0.0), ("std", 1e-6)):
        if name in given:
            given[name] = _channels(f"--{name}", given[name], least=least)
    if "grid" in given:
        given["grid"] = _two_numbers("--grid", given["grid"])
    if "stem" in given:
        given["stem"] = _stem(given["stem"])
    if str(given.get("resize", "")).isdecimal():
        given["resize"] = int(given["resize"])
    return ReadOptions(**given)


def _two_numbers(option: str, text: str) -> tuple[int, int]:
    parts = text.replace("x", ",").split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() and 0 < int(part) <= 1024 for part in parts):
        raise UsageError(f"{option} needs rows and columns", found=text, hint=f"{option} 8,18")
    return int(parts[0]), int(parts[1])


def _stem(text: str) -> tuple[int, bool]:
    stride, _, pool = text.partition(",")
    if not stride.isdecimal() or not 1 <= int(stride) <= 4 or pool not in ("max", "none"):
        raise UsageError("--stem needs a stride and max or none", found=text, hint="--stem 1,none or --stem 2,max")
    return int(stride), pool == "max"


def _channels(option: str, text: str, *, least: float) -> tuple[float, ...]:
    """Return the numbers of "R,G,B", of one number for all three, or of one a channel where there are more."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) == 1:
        values *= 3
    if len(values) < 3 or not all(least <= value <= 1.0 for value in values):
        hint = f"{option} 0.5,0.5,0.5, or one number per channel"
        raise UsageError(f"{option} needs three numbers of images in [0, 1]", found=text, hint=hint)
    return tuple(values)
