"""Imports timm and torchvision without torch's compiler, which they would load though nothing here compiles a network.

On their import both ask for a function of `torch._dynamo`, and that package draws in the whole compiler: a second of
processor time and 160 MB that stay for as long as the process lives. Meanwhile a stand-in answers: what must not be
compiled is marked as torch marks it, and the other question is passed on when somebody really asks.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"


def import_network_libraries() -> None:
    """Import timm and torchvision; the compiler is left alone where a program has it loaded, and can be loaded later.

    Example:
        >>> import_network_libraries()
        >>> import sys
        >>> {"timm", "torchvision"} <= sys.modules.keys()
        True
    """
    if _COMPILER in sys.modules or {"timm", "torchvision"} <= sys.modules.keys():
        return
    importlib.import_module("torch")  # whole, before anything stands in for a part of it
    with without_compiler():
        for library in ("torchvision", "timm"):
            importlib.import_module(library)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Within, what asks for torch's compiler gets the stand-in, unless the compiler is loaded already."""
    if _COMPILER in sys.modules:
        yield
        return
    stand_ins = {_COMPILER: _compiler(), f"{_COMPILER}.utils": _questions()}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name, stand_in in stand_ins.items():
            if sys.modules.get(name) is stand_in:
                del sys.modules[name]


def _compiler() -> ModuleType:
    module = ModuleType(_COMPILER)
    module.disable = _marked  # type: ignore[attr-defined]
    return module


def _questions() -> ModuleType:
    def is_compile_supported(device_type: str) -> bool:
        return bool(importlib.import_module(f"{_COMPILER}.utils").is_compile_supported(device_type))

    module = ModuleType(f"{_COMPILER}.utils")
    module.is_compile_supported = is_compile_supported  # type: ignore[attr-defined]
    return module


def _marked(function: Callable[..., Any] | None = None, *_: object, **__: object) -> Callable[..., Any]:
    """Mark a function as one that the compiler leaves alone; without one, return what does so."""
    if function is None:
        return _marked
    function._torchdynamo_disable = True  # type: ignore[attr-defined]
    return function
