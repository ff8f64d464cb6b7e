"""Whose format a file is in."""

from __future__ import annotations

from repdiag.checkpoints.formats.format import Format
from repdiag.checkpoints.formats.registry import all_formats
from repdiag.checkpoints.reading.contents import Contents
from repdiag.core.errors import CheckpointError


def recognise(contents: Contents) -> Format:
    """Return the first format that recognises the file; they are ordered from particular to general."""
    for form in all_formats():
        if form.recognise(contents):
            return form
    places = contents.places()
    raise CheckpointError(
        f"{contents.payload.path} holds no state dict that is known",
        found=f"tensors under {', '.join(places[:6])}" if places else "no tensors",
        hint="save the network's state_dict() alone: torch.save(model.state_dict(), path)",
    )
