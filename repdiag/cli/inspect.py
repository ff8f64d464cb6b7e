"""`repdiag inspect FILE`: what a checkpoint is, whether it is safe, and what would be used of it."""

from __future__ import annotations

from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.cli.reading import NOTHING_TOLD, READING, takes
from repdiag.workflows.typed_options import Told, read_options_of


@takes(told=READING)
def inspect(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    told: Told = NOTHING_TOLD,
    as_json: options.Json = False,
) -> None:
    """Show what a checkpoint file holds and how repdiag would read it, without executing it.

    Exits with 1 if the file is unsafe, damaged, or does not fill a backbone.
    """
    from repdiag.checkpoints.inspect import inspect_checkpoint
    from repdiag.results.inspection_lines import inspection_lines
    from repdiag.workflows.targets import find_checkpoint

    console = Console(as_json=as_json)
    read_options = read_options_of(told)
    target = find_checkpoint(checkpoint)
    found = inspect_checkpoint(target.path, read_options.over(target.read_options))
    for line in inspection_lines(found):
        console.say(line)
    console.json(found.to_dict())
    if found.problem:
        raise typer.Exit(1)
