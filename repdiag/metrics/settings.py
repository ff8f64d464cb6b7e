"""What the settings of a metric may be, read from the annotations of its parameters: never a number from a typo.

A name that is not offered, a NaN or a negative count would otherwise give some value all the same, under a wrong
description. Annotations of other kinds than those below say nothing and are not checked.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union

import numpy as np

from repdiag.core.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Range:
    """The numbers that a setting may be: from `low` to `high`, `above` says without `low` itself."""

    low: float
    high: float = math.inf
    above: bool = False

    def holds(self, value: Any) -> bool:
        """Say whether the number lies in the range."""
        return bool((self.low < value if self.above else self.low <= value) and value <= self.high)

    def __str__(self) -> str:
        start = f"{'above' if self.above else 'at least'} {self.low:g}"
        return start if self.high == math.inf else f"{start}, at most {self.high:g}"


_NOTHING = object()  # what no annotation allows

Count = Annotated[int, Range(1.0)]
Seed = Annotated[int, Range(0.0)]
Positive = Annotated[float, Range(0.0, above=True)]
NotNegative = Annotated[float, Range(0.0)]
Share = Annotated[float, Range(0.0, 1.0, above=True)]


def checked_settings(
    function: Callable[..., Any], settings: Mapping[str, Any], *, known: Iterable[str]
) -> dict[str, Any]:
    """Return the settings as plain numbers, names and truth values, whatever library they come from.

    Raises `ConfigError` for a setting that the annotation of the function's parameter does not allow, `UsageError` with
    the nearest names for one that is not among the `known`.
    """
    kinds, names = _annotations(function), tuple(known)
    found = {}
    for name, value in settings.items():
        if name not in names:
            raise unknown_name(f"setting of {function.__name__}", name, names)
        plain = value.item() if isinstance(value, np.generic) else value
        reason = _refusal(kinds[name], plain)
        if reason is not None:
            raise ConfigError(f"{name} of {function.__name__} must be {reason}", found=repr(plain))
        found[name] = float(plain) if float in _bare(kinds[name]) and isinstance(plain, int) else plain
    return found


def allowed_settings(function: Callable[..., Any], names: Iterable[str]) -> dict[str, str]:
    """Return what each setting must be, in words, for those whose annotation says it."""
    kinds = _annotations(function)
    described = {name: _refusal(kinds[name], _NOTHING) for name in names}
    return {name: words for name, words in described.items() if words is not None}


@functools.lru_cache(maxsize=512)
def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the annotation of every parameter, `Any` where it has none or names what is not there at run time."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError):
        hints = {}
    return {name: hints.get(name, Any) for name in inspect.signature(function).parameters}


def _refusal(kind: Any, value: Any) -> str | None:
    """Return what the value would have to be, None where it is that."""
    allowed = _members(kind)
    reasons = [_refusal_of_one(member, value) for member in allowed]
    if None in reasons:
        return None
    return " or ".join(reason for reason in reasons if reason)


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) in (Union, types.UnionType) else (kind,)


def _bare(kind: Any) -> list[Any]:
    """Return the types that a setting may have, without what is noted beside them."""
    return [
        typing.get_args(member)[0] if typing.get_origin(member) is Annotated else member for member in _members(kind)
    ]


def _refusal_of_one(kind: Any, value: Any) -> str | None:
    if kind is type(None):
        return None if value is None else "None"
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        return None if isinstance(value, str) and value in choices else "one of " + ", ".join(map(str, choices))
    within = Range(-math.inf)
    if typing.get_origin(kind) is Annotated:
        kind, *notes = typing.get_args(kind)
        within = next((note for note in notes if isinstance(note, Range)), within)
    if kind is bool:
        return None if isinstance(value, bool) else "True or False"
    if kind not in (int, float):
        return None
    return _refusal_of_number(kind, within, value)


def _refusal_of_number(kind: type, within: Range, value: Any) -> str | None:
    accepted = int if kind is int else int | float
    fits = isinstance(value, accepted) and not isinstance(value, bool) and math.isfinite(value) and within.holds(value)
    described = "a whole number" if kind is int else "a number"
    return None if fits else described if within.low == -math.inf else f"{described} {within}"
