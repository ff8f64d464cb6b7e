"""What the settings of a metric may be, read from the annotations of its parameters: never a number from a typo.

A name that is not offered, a NaN or a negative count would otherwise give some value all the same, under a wrong
description. A parameter without an annotation, or with one that cannot be read, takes anything.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from repdiag.core.errors import ConfigError, unknown_name

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]

_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "string": "a text",
    "null": "None",
}
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most"}


def checked_settings(
    function: Callable[..., Any], settings: Mapping[str, Any], *, known: Iterable[str]
) -> dict[str, Any]:
    """Return the settings as plain numbers, names and truth values, whatever library they come from.

    Raises `ConfigError` for a setting that the annotation of the function's parameter does not allow, `UsageError` with
    the nearest names for one that is not among the `known`.
    """
    names, found = tuple(known), {}
    for name, value in settings.items():
        if name not in names:
            raise unknown_name(f"setting of {function.__name__}", name, names)
        plain = value.item() if isinstance(value, np.generic) else value
        annotation = _annotations(function)[name]
        try:
            found[name] = annotation.validate_python(plain)
        except ValidationError as error:
            allowed = _in_words(annotation.json_schema())
            raise ConfigError(f"{name} of {function.__name__} must be {allowed}", found=repr(plain)) from error
    return found


def allowed_settings(function: Callable[..., Any], names: Iterable[str]) -> dict[str, str]:
    """Return what each setting must be, in words, for those whose annotation says it."""
    described = {name: _in_words(_annotations(function)[name].json_schema()) for name in names}
    return {name: words for name, words in described.items() if words}


@functools.lru_cache(maxsize=512)
def _annotations(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the `TypeAdapter` of each keyword setting; anything passes it where no annotation can be read."""
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, AttributeError, TypeError):
        hints = {}
    strict = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    parameters = inspect.signature(function).parameters.values()
    settings = [parameter.name for parameter in parameters if parameter.default is not inspect.Parameter.empty]
    return {name: TypeAdapter(hints.get(name, Any), config=strict) for name in settings}


def _in_words(schema: Mapping[str, Any]) -> str:
    """Say what a JSON schema allows; nothing where that is everything."""
    if "anyOf" in schema:
        return " or ".join(map(_in_words, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return "one of " + ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    bounds = ", ".join(f"{words} {schema[key]:g}" for key, words in _BOUNDS.items() if key in schema)
    return f"{_KINDS.get(schema.get('type', ''), '')} {bounds}".strip()
