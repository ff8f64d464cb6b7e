"""Renaming by a table of patterns, the part that most keymaps share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from repdiag.core.errors import CheckpointError

State = dict[str, Tensor]


Replacement = str | Callable[[re.Match[str]], str]


def by_patterns(*rules: tuple[str, Replacement]) -> Callable[[Mapping[str, Tensor]], State]:
    """Return a renamer that applies, to each name, every rule in turn (regular expression, replacement)."""
    compiled = [(re.compile(pattern), replacement) for pattern, replacement in rules]

    def convert(state: Mapping[str, Tensor]) -> State:
        renamed: State = {}
        for name, value in state.items():
            new = name
            for pattern, replacement in compiled:
                new = pattern.sub(replacement, new)
            if new in renamed:
                raise CheckpointError("two tensors would get one name", found=f"{name} -> {new}")
            renamed[new] = value
        return renamed

    return convert


def any_name(state: Mapping[str, Tensor], pattern: str) -> bool:
    """Say whether a name begins with the regular expression."""
    compiled = re.compile(pattern)
    return any(compiled.match(name) for name in state)


def all_names(state: Mapping[str, Tensor], patterns: Sequence[str]) -> bool:
    """Say whether each of the regular expressions begins some name."""
    return all(any_name(state, pattern) for pattern in patterns)
