"""`repdiag convert FILE OUT.safetensors`: anybody's checkpoint in our own safe form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.cli.reading import NOTHING_TOLD, READING, takes
from repdiag.workflows.typed_options import Told, read_options_of


@takes(told=READING)
def convert(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    out: Annotated[Path, typer.Argument(help="The file to write, ending in .safetensors.")],
    told: Told = NOTHING_TOLD,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Write a checkpoint's encoder and heads as one safetensors file that proves itself and records what is known."""
    from repdiag.checkpoints.load import convert_checkpoint
    from repdiag.checkpoints.own.convert import check_target
    from repdiag.core.errors import UsageError
    from repdiag.workflows.targets import find_checkpoint

    if out.suffix != ".safetensors":
        raise UsageError(f"{out} must end in .safetensors")
    check_target(out, overwrite=overwrite)
    console = Console(as_json=as_json)
    read_options = read_options_of(told)
    target = find_checkpoint(checkpoint)
    info = convert_checkpoint(target.path, out, read_options.over(target.read_options))
    console.say(f"{info.backbone}, {info.branch} branch of a {info.family} file")
    console.say_place(out, told=True)
    console.json({"out": str(out), "encoder": info.to_dict()})
