"""Whose format a file is in."""

from __future__ import annotations

from repdiag.checkpoints.formats.format import Format
from repdiag.checkpoints.formats.registry import all_formats
from repdiag.checkpoints.reading.contents import Contents
from repdiag.core.errors import CheckpointError


def _objects(contents: Contents) -> str:
    """Return the classes of what the file holds instead of tensors, which are never built here."""
    named = contents.payload.foreign
    return f", and objects of {', '.join(named[:3])}" + (" and others" if len(named) > 3 else "") if named else ""


def recognise(contents: Contents) -> Format:
    """Return the first format that recognises the file; they are ordered from particular to general."""
    for form in all_formats():
        if form.recognise(contents):
            return form
    places = contents.places()
    raise CheckpointError(
        f"{contents.payload.path} holds no state dict that is known",
        found=f"tensors under {', '.join(places[:6])}" if places else f"no tensors{_objects(contents)}",
        hint="save the network's state_dict() alone: torch.save(model.state_dict(), path)",
    )
