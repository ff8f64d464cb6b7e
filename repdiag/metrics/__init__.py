"""From an EmbeddingSet to numbers: pure functions, one registered metric each."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """Give every registered metric as `repdiag.metrics.NAME`."""
    if name.startswith("_"):
        raise AttributeError(name)
    from repdiag.metrics.registry import load_all

    known = load_all()
    if name not in known:
        raise AttributeError(f"no metric is named {name!r}")
    return known[name].function


def __dir__() -> list[str]:
    from repdiag.metrics.registry import load_all

    return sorted(load_all())
