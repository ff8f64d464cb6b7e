"""`repdiag inspect FILE`: what a checkpoint is, whether it is safe, and what would be used of it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.cli.reading import NOTHING_TOLD, READING, takes
from repdiag.core.printable import one_line
from repdiag.workflows.typed_options import Told, read_options_of

if TYPE_CHECKING:
    from repdiag.checkpoints.inspect import Inspection

_INTEGRITY = {
    "crc32": "every part has the checksum that the file records (crc32)",
    "unknown": "the file records no checksum; compare its sha256",
}


@takes(told=READING)
def inspect(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    told: Told = NOTHING_TOLD,
    as_json: options.Json = False,
) -> None:
    """Say what a checkpoint file holds and how it would be read; nothing in it is executed.

    Exits with 1 where the file is unsafe, damaged, or does not fill a backbone.
    """
    from repdiag.checkpoints.inspect import inspect_checkpoint
    from repdiag.workflows.targets import find_checkpoint

    console = Console(as_json=as_json)
    read_options = read_options_of(told)
    target = find_checkpoint(checkpoint)
    found = inspect_checkpoint(target.path, read_options.over(target.read_options))
    _print(console, found)
    console.json(found.to_dict())
    if found.problem:
        raise typer.Exit(1)


def _print(console: Console, found: Inspection) -> None:
    from repdiag.checkpoints.facts import ASSUMPTIONS, table_of

    console.say(f"{one_line(found.path)}  ({found.bytes:,} bytes)")
    console.say(f"  sha256      {found.sha256}")
    placeholders = (
        f"; left as placeholders: {one_line(', '.join(found.placeholders), 600)}" if found.placeholders else ""
    )
    console.say(f"  safe        yes, nothing in it was executed ({found.container}, {found.reader}{placeholders})")
    console.say(f"  integrity   {_INTEGRITY.get(found.integrity, found.integrity)}")
    info = found.encoder
    if info is not None:
        several = len(found.branches) > 1  # of a single one there is nothing to choose
        branch = f", branch {info['branch']} of {one_line(', '.join(found.branches), 400)}" if several else ""
        console.say(f"  family      {found.family}{branch}")
        console.say(f"  backbone    {info['backbone']}, {info['parameters']:,} parameters, {info['match']:.0%} filled")
        if found.keymap:
            console.say(f"  names       {found.keymap}")
        console.say(f"  features    {info['feature_dim']}, read at: {info['layer']}")
        size = f"{info['image_size']} px" + (f" cropped from {info['resize']}" if info["resize"] else "")
        normalised = f"mean {_channels(info['mean'])}, std {_channels(info['std'])}"
        console.say(f"  input       {size}, {info['interpolation']}, {normalised}")
        console.say(
            f"  heads       projection {found.projection_head or 'none'}, classifier {found.classifier or 'none'}"
        )
        console.say(
            f"  tensors     {', '.join(f'{count} {role}' for role, count in found.tensors.items()) or 'all used'}"
        )
        recorded = ", ".join(f"{name} {value}" for name, value in info["training"].items())
        console.say(f"  recorded    {recorded or 'no training settings'}")
        for note in info["notes"]:
            if not note.startswith(ASSUMPTIONS):  # they stand in the table
                console.say(f"  note        {note}")
        for line in table_of(info["facts"]):
            console.say(line)
    if found.problem:
        console.say(f"  problem     {found.problem['problem']}")
        for label, key in (("found", "found"), ("try", "hint")):
            if found.problem[key]:
                console.say(f"    {label}: {found.problem[key]}")
    elif info is not None:
        data = "" if "data" in info["training"] else " --data imagefolder:PATH"
        console.say(f"  ready       repdiag analyze {one_line(shlex.quote(found.path), 400)}{data}")


def _channels(values: Sequence[float]) -> str:
    """Return the numbers of the channels with the digits that tell them apart."""
    return ", ".join(f"{value:.4g}" for value in values)
