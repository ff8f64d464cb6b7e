"""`Keymap`: how to see that a state dict uses some naming, and how to rename it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.formats.format import Facts

State = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Keymap:
    """One naming. `facts` are what it implies about the network (fields of `Facts`), `defaults` what it implies where
    the family says nothing else; `candidates` builds networks that only this naming belongs to. `beside` are starts of
    names, after the renaming, that stand next to the encoder, such as a tower for texts.
    """

    name: str
    applies: Callable[[Mapping[str, Tensor]], bool]
    convert: Callable[[Mapping[str, Tensor]], State]
    facts: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    candidates: Callable[[Mapping[str, Tensor], Facts], list[Candidate]] | None = None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Renamed:
    """A state dict under the names of torchvision or timm, with the keymap that gave it, if any."""

    state: State
    keymap: Keymap | None


def rename(state: Mapping[str, Tensor], keymaps: Sequence[Keymap]) -> Renamed:
    """Return the state dict under known names: through the first keymap that applies, or as it is."""
    for keymap in keymaps:
        if keymap.applies(state):
            return Renamed(keymap.convert(state), keymap)
    return Renamed(dict(state), None)
