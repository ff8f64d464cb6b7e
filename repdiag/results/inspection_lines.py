"""What an inspection found, as lines of a terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from repdiag.core.printable import one_line

if TYPE_CHECKING:
    from repdiag.checkpoints.inspect import Inspection

_INTEGRITY = {
    "crc32": "every part has the checksum that the file records (crc32)",
    "unknown": "the file records no checksum; compare its sha256",
}


def inspection_lines(found: Inspection) -> Iterator[str]:
    """Yield what a checkpoint is, what would be used of it, and what is wrong with it."""
    from repdiag.checkpoints.facts import ASSUMPTIONS, table_of

    yield f"{one_line(found.path)}  ({found.bytes:,} bytes)"
    yield f"  sha256      {found.sha256}"
    placeholders = (
        f"; left as placeholders: {one_line(', '.join(found.placeholders), 600)}" if found.placeholders else ""
    )
    yield f"  safe        yes, nothing in it was executed ({found.container}, {found.reader}{placeholders})"
    yield f"  integrity   {_INTEGRITY.get(found.integrity, found.integrity)}"
    info = found.encoder
    if info is not None:
        several = len(found.branches) > 1  # of a single one there is nothing to choose
        branch = f", branch {info['branch']} of {one_line(', '.join(found.branches), 400)}" if several else ""
        yield f"  family      {found.family}{branch}"
        yield f"  backbone    {info['backbone']}, {info['parameters']:,} parameters, {info['match']:.0%} filled"
        if found.keymap:
            yield f"  names       {found.keymap}"
        yield f"  features    {info['feature_dim']}, read at: {info['layer']}"
        size = f"{info['image_size']} px" + (f" cropped from {info['resize']}" if info["resize"] else "")
        normalised = f"mean {_channels(info['mean'])}, std {_channels(info['std'])}"
        yield f"  input       {size}, {info['interpolation']}, {normalised}"
        yield f"  heads       projection {found.projection_head or 'none'}, classifier {found.classifier or 'none'}"
        yield f"  tensors     {', '.join(f'{count} {role}' for role, count in found.tensors.items()) or 'all used'}"
        recorded = ", ".join(f"{name} {value}" for name, value in info["training"].items())
        yield f"  recorded    {recorded or 'no training settings'}"
        for note in info["notes"]:
            if not note.startswith(ASSUMPTIONS):  # they stand in the table
                yield f"  note        {note}"
        yield from table_of(info["facts"])
    if found.problem:
        yield f"  problem     {found.problem['problem']}"
        for label, key in (("found", "found"), ("try", "hint")):
            if found.problem[key]:
                yield f"    {label}: {found.problem[key]}"
    elif info is not None:
        data = "" if "data" in info["training"] else " --data imagefolder:PATH"
        yield f"  ready       repdiag analyze {one_line(shlex.quote(found.path), 400)}{data}"


def _channels(values: Sequence[float]) -> str:
    """Return the numbers of the channels with the digits that tell them apart."""
    return ", ".join(f"{value:.4g}" for value in values)
