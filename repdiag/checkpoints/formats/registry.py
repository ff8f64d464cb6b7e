"""Every format, most particular first: the first that recognises a file has it."""

from __future__ import annotations

from repdiag.checkpoints.formats import moco, state_dict
from repdiag.checkpoints.formats.format import Format

FORMATS: tuple[Format, ...] = (
    moco.FORMAT,
    state_dict.FORMAT,
)
