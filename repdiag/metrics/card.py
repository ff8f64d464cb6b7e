"""The card of a metric: all that its declaration and its docstring say."""

from __future__ import annotations

import inspect
import math
from typing import Any

from repdiag.metrics.registry import get
from repdiag.metrics.settings import allowed_settings


def card_of(name: str) -> dict[str, Any]:
    """Return a metric's card as `repdiag metrics show NAME --json` prints it.

    Example:
        >>> card_of("uniformity")["better"]
        'lower'
    """
    metric = get(name)
    allowed = allowed_settings(metric.function, metric.settings)
    return {
        "name": metric.name,
        "family": metric.family,
        "version": metric.version,
        "better": metric.direction,
        "comparable": metric.comparable,
        "bounds": [bound if math.isfinite(bound) else None for bound in metric.bounds],
        "needs": list(metric.needs),
        "settings": dict(metric.settings),
        "allowed": allowed,
        "invariant_under": sorted(metric.invariances),
        "interval": metric.interval,
        "reference": metric.reference,
        "card": inspect.getdoc(metric.function),
    }
