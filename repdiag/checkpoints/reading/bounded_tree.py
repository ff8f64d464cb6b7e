"""Turns the graph of values that a pickle made into a tree of bounded depth and size, with real tensors in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from repdiag.checkpoints.reading.stand_ins import GlobalName, Placeholder, StorageRecord, TensorRecord
from repdiag.core.errors import CheckpointError

MAX_DEPTH = 64
MAX_NODES = 300_000


class BoundedTree:
    """One conversion. Sharing is spelled out, so that a few bytes cannot stand for 2^60 values."""

    def __init__(self, tensor: Callable[[TensorRecord], Any]) -> None:
        self._tensor = tensor
        self._nodes = 0
        self._open: set[int] = set()

    def convert(self, value: Any, depth: int = 0) -> Any:
        """Return the value as a tree; a back-reference inside a foreign object is cut, any other refused."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise CheckpointError("the file holds too many values", found=f"more than {MAX_NODES}")
        if depth > MAX_DEPTH:
            raise CheckpointError("the file is nested too deeply", found=f"more than {MAX_DEPTH} levels")
        if isinstance(value, TensorRecord):
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
            return {key: self.convert(item, depth) for key, item in value.items()}
        if isinstance(value, Placeholder):
            arguments = [self.convert(item, depth) for item in value.arguments]
            fields = {key: self.convert(item, depth) for key, item in value.fields.items()}
            return Placeholder(value.name, arguments, fields)
        items = [self.convert(item, depth) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
