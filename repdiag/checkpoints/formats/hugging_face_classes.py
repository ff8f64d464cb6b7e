"""Networks that only Hugging Face transformers has: its own classes, where it is installed, from the config.json alone."""

from __future__ import annotations

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.reading.contents import Contents, State


def library_networks(contents: Contents, state: State, facts: Facts) -> list[Candidate]:
    return []
