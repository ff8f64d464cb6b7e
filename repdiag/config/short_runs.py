"""Runs that are shorter than their recipe's warm-up: the warm-up keeps its share of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repdiag.config.training import ScheduleSettings

WARMUP = "schedule.warmup_epochs"


def shortened_warmup(settings: Mapping[str, Any], *, epochs: int) -> float | None:
    """Return the warm-up of a run of `epochs` epochs, where the one in the settings is longer than the whole run.

    It keeps the share of the run that it has in the settings: 10 of 200 epochs are 0.15 of 3. It is 0 where the run of
    the settings is nothing but warm-up. None: the warm-up fits as it is.

    Example:
        >>> shortened_warmup({"schedule": {"epochs": 200, "warmup_epochs": 10}}, epochs=3)
        0.15
    """
    schedule = settings.get("schedule") or {}
    if not isinstance(schedule, Mapping):
        return None
    defaults = ScheduleSettings()
    before = schedule.get("epochs", defaults.epochs)
    warmup = schedule.get("warmup_epochs", defaults.warmup_epochs)
    if not isinstance(before, int | float) or not isinstance(warmup, int | float) or warmup <= epochs:
        return None  # what is no number is refused where settings are checked
    return float(warmup * epochs / before) if 0 < warmup < before else 0.0
