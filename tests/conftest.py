"""The order of the tests, what no GPU skips, types checked while tests run, Triton's kernels interpreted."""

from __future__ import annotations

import functools
import gc
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any

import jaxtyping
import pytest
import torch

_LEVEL = logging.getLogger().level
_checked_with_shapes = jaxtyping.jaxtyped
_ARRAYS = ("[Tensor", "jaxtyping.", "[torch.Tensor")


def _checked(function: Any = None, *, typechecker: Any) -> Any:
    """Check the types of a call; hold sizes of arrays against each other only where a signature names arrays.

    jaxtyping binds every call's arguments to compare such sizes, which took a third of the time of all tests.
    """
    if function is None:
        return functools.partial(_checked, typechecker=typechecker)
    if not isinstance(function, FunctionType):
        return _checked_with_shapes(function, typechecker=typechecker)
    hints = {name: _resolved(hint, function) for name, hint in function.__annotations__.items()}
    if any(array in str(hint) for hint in (*hints.values(), *function.__annotations__.values()) for array in _ARRAYS):
        return _checked_with_shapes(function, typechecker=typechecker)
    # Names that only type checkers import stay unchecked, as jaxtyping leaves them.
    function.__annotations__ = hints
    return typechecker(function)


def _resolved(hint: Any, function: FunctionType) -> Any:
    try:
        return eval(hint, function.__globals__) if isinstance(hint, str) else hint
    except Exception:
        return Any


jaxtyping.jaxtyped = _checked  # the hook that --jaxtyping-packages installs looks it up for each function


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with long tests before all others, so that no process is left alone with one at the end."""
    long = {item.path for item in items if item.get_closest_marker("slow") or "end_to_end" in item.path.parts}
    items.sort(key=lambda item: item.path not in long)
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_collection_finish() -> None:
    """Leave what the collection made out of every later search for garbage: it stays to the end."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the end of the process find them again."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def logging_put_back() -> Iterator[None]:
    """Undo what a command did to the root logger: after `--quiet` no later test would see a warning.

    The level is that of the start: fixtures of whole modules run commands before this one can look.
    """
    root = logging.getLogger()
    handlers = list(root.handlers)
    root.setLevel(_LEVEL)
    yield
    root.setLevel(_LEVEL)
    root.handlers[:] = handlers


@pytest.fixture
def interpreted() -> Callable[[str], Any]:
    """Give what runs a script with Triton's kernels interpreted on the CPU and returns the JSON that it prints.

    In a process of its own: Triton decides at its import whether kernels are interpreted.
    """
    pytest.importorskip("triton")

    def run(script: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script],
            env=os.environ | {"TRITON_INTERPRET": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
