"""Turns the graph of values that a pickle made into a tree of bounded depth and size, with real tensors in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from repdiag.checkpoints.reading.stand_ins import GlobalName, Placeholder, StorageRecord, TensorRecord
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief, printable

MAX_DEPTH = 64
MAX_NODES = 300_000
MAX_TENSORS = 50_000
"""A training's checkpoint of the largest encoders, with its optimizer and two averages, has some 10,000."""
MAX_NAME = 1_000
"""Characters of a tensor's name."""


class BoundedTree:
    """One conversion. Sharing is spelled out, so that a few bytes cannot stand for 2^60 values."""

    def __init__(self, tensor: Callable[[TensorRecord], Any]) -> None:
        self._tensor = tensor
        self._nodes = 0
        self._tensors = 0
        self._open: set[int] = set()

    def convert(self, value: Any, depth: int = 0) -> Any:
        """Return the value as a tree; a back-reference inside a foreign object is cut, any other refused."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise CheckpointError("the file holds too many values", found=f"more than {MAX_NODES:,}")
        if depth > MAX_DEPTH:
            raise CheckpointError("the file is nested too deeply", found=f"more than {MAX_DEPTH} levels")
        if isinstance(value, TensorRecord):
            self._tensors += 1
            expect_count(self._tensors)
            return self._tensor(value)
        if isinstance(value, GlobalName | StorageRecord):
            return Placeholder(value.name if isinstance(value, GlobalName) else "storage")
        if not isinstance(value, dict | list | tuple | Placeholder):
            return value
        if id(value) in self._open:
            if isinstance(value, Placeholder):
                return None
            raise CheckpointError("a value of the file contains itself")
        self._open.add(id(value))
        try:
            return self._children(value, depth + 1)
        finally:
            self._open.remove(id(value))

    def _children(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            shown = shown_names(value, longest=None if all(map(_is_plain, value.values())) else MAX_NAME)
            return {shown[key]: self.convert(item, depth) for key, item in value.items()}
        if isinstance(value, Placeholder):
            arguments = [self.convert(item, depth) for item in value.arguments]
            fields = {key: self.convert(item, depth) for key, item in value.fields.items()}
            return Placeholder(value.name, arguments, fields)
        items = [self.convert(item, depth) for item in value]
        return tuple(items) if isinstance(value, tuple) else items


def expect_count(tensors: int) -> None:
    """Raise `CheckpointError` for more tensors than checkpoints have."""
    if tensors > MAX_TENSORS:
        raise CheckpointError("the file holds too many tensors", found=f"more than {MAX_TENSORS:,}")


def shown_names(names: Iterable[Any], *, longest: int | None = MAX_NAME) -> dict[Any, Any]:
    """Return each key of a dictionary with the name that it gets here: one that can be shown, and is not too long.

    What acts on a terminal becomes its escape. No network has such a name, and none is mistaken for another's.
    """
    shown: dict[Any, Any] = {}
    for name in names:
        if isinstance(name, str) and longest is not None and len(name) > longest:
            raise CheckpointError("a name in the file is too long", found=f"{len(name):,} characters, {brief(name)}")
        shown[name] = printable(name, lines=False) if isinstance(name, str) else name
    if len(set(shown.values())) != len(shown):
        raise CheckpointError("two names in the file differ only in what cannot be shown")
    return shown


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | bytes | int | float | None)
