"""From an EmbeddingSet to numbers: pure functions, one registered metric each.

Example:
    >>> import repdiag
    >>> float(repdiag.metrics.uniformity([[1.0, 0.0], [0.0, 1.0]]))
    -4.0
"""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    """Give every registered metric as `repdiag.metrics.NAME`, and `repdiag.metrics.streaming`."""
    if name.startswith("_"):
        raise AttributeError(name)
    if name == "streaming":
        return importlib.import_module("repdiag.metrics.streaming")
    from repdiag.core.errors import unknown_name
    from repdiag.metrics.registry import load_all

    known = load_all()
    if name not in known:
        raise AttributeError(str(unknown_name("metric", name, known)))
    return known[name].function


def __dir__() -> list[str]:
    from repdiag.metrics.registry import load_all

    return sorted(load_all())
