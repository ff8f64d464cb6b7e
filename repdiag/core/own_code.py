"""A user's own function, named as `file.py:function` or `package.module:function`; called on request only."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from repdiag.core.errors import ConfigError, RepdiagError, unknown_name


def is_own_code(name: str) -> bool:
    """Say whether `name` points at a function of the user's rather than at a known network."""
    return ":" in name


def call_named(name: str, *, kind: str) -> Any:
    """Import the module part of `name`, call the function without arguments and return its result.

    This runs the user's code; only names typed by the user get here, never names read from a checkpoint.
    """
    return _guarded(name, kind, lambda function: function())


def call_with_split(name: str, split: str, *, kind: str) -> tuple[Any, bool]:
    """Return the result of the function, and whether it took the split: as its one required argument, or as `split`."""

    def call(function: Callable[..., Any]) -> tuple[Any, bool]:
        parameters = inspect.signature(function).parameters
        if "split" in parameters:
            return function(split=split), True
        positional = [one for one in parameters.values() if one.kind <= one.POSITIONAL_OR_KEYWORD]
        needed = [one for one in positional if one.default is one.empty]
        return (function(split), True) if len(needed) == 1 else (function(), False)

    found: tuple[Any, bool] = _guarded(name, kind, call)
    return found


def _guarded(name: str, kind: str, call: Callable[[Callable[..., Any]], Any]) -> Any:
    try:
        return call(_function(name, kind))
    except RepdiagError:
        raise
    except Exception as error:  # whatever the user's code raises
        at = traceback.extract_tb(error.__traceback__)[-1]
        raise ConfigError(
            f"the code of the {kind} failed: {name}",
            found=f"{type(error).__name__}: {error}, at line {at.lineno} of {at.filename}"[:300],
            hint="fix it; --debug shows the traceback",
        ) from error


def _function(name: str, kind: str) -> Callable[..., Any]:
    where, _, function = name.rpartition(":")
    module = _import_file(Path(where), kind) if where.endswith(".py") else _import_package(where, kind)
    found: Callable[..., Any] | None = getattr(module, function, None)
    if not callable(found):
        public = [item for item in vars(module) if not item.startswith("_") and callable(getattr(module, item))]
        raise unknown_name(f"function for the {kind} in {where}", function, public)
    return found


def _import_file(path: Path, kind: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"the file of the {kind} does not exist", found=str(path))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _import_package(name: str, kind: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"the module of the {kind} cannot be imported", found=str(error)) from error
