"""How numbers are written for people, everywhere alike."""

from __future__ import annotations


def show_value(value: float, *, percent: bool = False) -> str:
    """Return a value with the digits that a reader needs; shares in percent.

    Example:
        >>> show_value(0.5478, percent=True), show_value(-1.4377), show_value(1234.5)
        ('54.8 %', '-1.438', '1,234.5')
    """
    if percent:
        return f"{100 * value:.1f} %"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def show_interval(low: float | None, high: float | None, *, percent: bool = False) -> str:
    """Return an interval in brackets, empty where it is not known; the unit stands beside the value.

    Example:
        >>> show_interval(0.5, 0.6, percent=True)
        '[50.0, 60.0]'
    """
    if low is None or high is None:
        return ""
    return "[" + ", ".join(show_value(end, percent=percent).removesuffix(" %") for end in (low, high)) + "]"


def show_points(change: float, low: float | None = None, high: float | None = None) -> str:
    """Return a difference of shares in points, with its interval where it is known.

    Example:
        >>> show_points(0.467, 0.408, 0.525), show_points(-0.03)
        ('+46.7 points [+40.8, +52.5]', '-3.0 points')
    """
    interval = "" if low is None or high is None else f" [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{100 * change:+.1f} points{interval}"


def show_p(value: float) -> str:
    """Return a p-value.

    Example:
        >>> show_p(0.0004), show_p(0.25)
        ('< .001', '0.250')
    """
    return "< .001" if value < 0.001 else f"{value:.3f}"


def say_p(value: float) -> str:
    """Return a p-value as a sentence has it.

    Example:
        >>> say_p(0.0004), say_p(0.25)
        ('p < .001', 'p = 0.250')
    """
    shown = show_p(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"
