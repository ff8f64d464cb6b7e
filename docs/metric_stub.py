"""What type checkers see of `repdiag.metrics`: every registered metric with its arguments, out of the registry."""

from __future__ import annotations

import inspect
import types
import typing
from typing import Any

from repdiag.metrics.registry import DATA_PARAMETERS, Metric, load_all

_HEAD = '''"""From an EmbeddingSet to numbers: pure functions, one registered metric each. Written by `make docs`."""

from typing import Literal

import torch

from repdiag.core.metric_value import MetricValue
from repdiag.core.given import Given
from repdiag.metrics import streaming as streaming

'''


def stub() -> str:
    """Return the text of repdiag/metrics/__init__.pyi."""
    ours = [metric for metric in load_all().values() if metric.function.__module__.startswith("repdiag.")]
    return _HEAD + "\n".join(_signature(metric) for metric in ours) + "\n"


def _signature(metric: Metric) -> str:
    hints = typing.get_type_hints(inspect.unwrap(metric.function))
    arguments = []
    parameters = inspect.signature(metric.function).parameters.values()
    data = [parameter for parameter in parameters if parameter.name in DATA_PARAMETERS]
    for parameter in data:
        optional = parameter.default is None
        arguments.append(f"{parameter.name}: Given{' | None = None' if optional else ''}")
    settings = [parameter for parameter in parameters if parameter.name not in DATA_PARAMETERS]
    if settings:
        arguments.append("*")
    for parameter in settings:
        default = "" if parameter.default is parameter.empty else " = ..."
        arguments.append(f"{parameter.name}: {_type(hints[parameter.name])}{default}")
    return f"def {metric.name}({', '.join(arguments)}) -> MetricValue: ..."


def _type(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _type(parts[0])
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, parts))}]"
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(_type, parts))
    if origin is tuple:
        return f"tuple[{', '.join('...' if part is Ellipsis else _type(part) for part in parts)}]"
    name = "None" if hint is type(None) else hint.__qualname__
    return name if hint.__module__ == "builtins" else f"{hint.__module__}.{name}".replace("torch._C.", "torch.")
