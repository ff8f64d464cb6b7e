"""`repdiag convert FILE OUT.safetensors`: anybody's checkpoint in our own safe form."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console
from repdiag.cli.inspect import Heads, Prefix, StemPadding


def convert(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint file, a run directory, or a manifest's name.")],
    out: Annotated[Path, typer.Argument(help="The file to write, ending in .safetensors.")],
    branch: options.Branch = None,
    backbone: options.Backbone = None,
    prefix: Prefix = None,
    heads: Heads = None,
    stem_padding: StemPadding = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Write a checkpoint's encoder and heads as one safetensors file that proves itself and records what is known."""
    from repdiag.checkpoints.load import convert_checkpoint
    from repdiag.checkpoints.resolve import Wishes
    from repdiag.cli.targets import find_checkpoint
    from repdiag.core.errors import UsageError

    if out.suffix != ".safetensors":
        raise UsageError(f"{out} must end in .safetensors")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists", hint="--overwrite replaces it")
    console = Console(as_json=as_json)
    wishes = Wishes(branch=branch, backbone=backbone, prefix=prefix, heads=heads, stem_padding=stem_padding)
    info = convert_checkpoint(find_checkpoint(checkpoint), out, wishes)
    console.say(f"wrote {out}: {info.backbone}, {info.branch} branch of a {info.family} file")
    console.json({"out": str(out), "encoder": info.to_dict()})
