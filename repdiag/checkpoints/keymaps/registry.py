"""Every keymap, most particular first."""

from __future__ import annotations

from repdiag.checkpoints.keymaps import resnets
from repdiag.checkpoints.keymaps.keymap import Keymap

KEYMAPS: tuple[Keymap, ...] = (
    resnets.SEQUENTIAL,
    resnets.SEQUENTIAL_WITHOUT_POOL,
    resnets.SHORTCUT,
    resnets.HUGGING_FACE,
)
