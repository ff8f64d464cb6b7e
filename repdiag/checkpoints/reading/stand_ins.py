"""What a foreign pickle may turn into: plain containers and these inert nouns, none of which runs anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class GlobalName:
    """A class or function that a pickle names; it is never imported."""

    name: str


@dataclass(slots=True, eq=False)
class Placeholder:
    """Stands for an object of a class that is not ours to build; keeps what the file says about it."""

    name: str
    arguments: list[Any] = field(default_factory=list)
    fields: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StorageRecord:
    """A block of numbers as declared: where it lies, its type and how many of them."""

    key: str
    dtype: torch.dtype
    numel: int


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """A view on a storage as declared, checked to stay within it."""

    storage: StorageRecord
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


def settings_of(value: Any) -> Mapping[Any, Any]:
    """Return what a dictionary, a Namespace or a config object holds, as a mapping; empty for all else."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, Placeholder):
        return {}
    content = value.fields.get("_content")
    return settings_of(content) if isinstance(content, Mapping) else value.fields


def setting(value: Any, *names: str) -> Any:
    """Follow names through nested settings; None where one is missing. Wrapped leaf values are opened."""
    for name in names:
        value = settings_of(value).get(name)
    if isinstance(value, Placeholder) and "_val" in value.fields:
        return value.fields["_val"]  # an OmegaConf node
    return value
