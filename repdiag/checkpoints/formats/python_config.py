"""Settings that open-mmlab keeps as Python text, read as literals: nothing of the text is run."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

_LONGEST = 400_000  # characters


def settings_in(text: object) -> dict[str, Any]:
    """Return the assignments of a text such as `model = dict(backbone=dict(type='ResNet', style='caffe'))`.

    Values that are not literals, lists or dicts of such are left out; a text that is not Python has no settings.

    >>> settings_in("model = dict(depth=50, mean=[1, 2.5])\\nhook = make()")
    {'model': {'depth': 50, 'mean': [1, 2.5]}}
    """
    if not isinstance(text, str) or len(text) > _LONGEST:
        return {}
    try:
        tree = ast.parse(text)
        found: dict[str, Any] = {}
        for item in tree.body:
            if isinstance(item, ast.Assign) and len(item.targets) == 1 and isinstance(item.targets[0], ast.Name):
                value = _value(item.value)
                if value is not None:
                    found[item.targets[0].id] = value
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # what parsing raises for a text of a stranger
        return {}
    return found


def _value(node: ast.expr) -> Any:
    """Return a literal, or None for what would have to be run."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        return -value if isinstance(value, int | float) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {item.arg: _value(item.value) for item in node.keywords if item.arg is not None}
    if isinstance(node, ast.Dict):
        keys = [_value(key) if key is not None else None for key in node.keys]
        return {key: _value(value) for key, value in zip(keys, node.values, strict=True) if isinstance(key, str)}
    return None


def at(settings: Mapping[str, Any], *names: str) -> Any:
    """Return what lies at a path of names, or None."""
    value: Any = settings
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
