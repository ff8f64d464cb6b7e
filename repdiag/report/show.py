"""How the report writes a value."""

from __future__ import annotations


def show_value(value: float, *, percent: bool = False) -> str:
    """Return a value with the digits that a reader needs."""
    if percent:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
