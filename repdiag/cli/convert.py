"""`repdiag convert FILE OUT`: anybody's checkpoint in our own safe form, or as an ONNX graph."""

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
    out: Annotated[Path, typer.Argument(help="The file to write, ending in .safetensors or .onnx.")],
    told: Told = NOTHING_TOLD,
    int8: Annotated[bool, typer.Option("--int8", help="ONNX: 8-bit weights and activations.")] = False,
    half: Annotated[bool, typer.Option("--half", help="ONNX: weights in float16.")] = False,
    per_tensor: Annotated[bool, typer.Option("--per-tensor", help="With --int8, one scale for all channels.")] = False,
    calibrate: Annotated[
        str | None,
        typer.Option("--calibrate", help="Images that set the ranges of --int8 and measure the drift."),
    ] = None,
    fail_on: Annotated[
        str | None, typer.Option("--fail-on", help="Exit 3 if one of these holds, as in `repdiag drift`.")
    ] = None,
    overwrite: options.Overwrite = False,
    as_json: options.Json = False,
) -> None:
    """Write a checkpoint's encoder as a self-checking safetensors file, or as an ONNX graph with its preprocessing.

    A graph is read back and compared with the checkpoint, on the images of --calibrate or on noise.
    """
    from repdiag.checkpoints.exported.onnx_export import check_graph_target
    from repdiag.checkpoints.load import convert_checkpoint
    from repdiag.checkpoints.own.convert import check_target
    from repdiag.core.errors import UsageError
    from repdiag.workflows.convert import numbers_of
    from repdiag.workflows.targets import find_checkpoint

    if out.suffix not in (".safetensors", ".onnx"):
        raise UsageError(f"{out} must end in .safetensors or .onnx")
    numbers = numbers_of(out, int8=int8, half=half, per_tensor=per_tensor)
    if out.suffix == ".onnx":
        check_graph_target(out, overwrite=overwrite)
    else:
        check_target(out, overwrite=overwrite)
    console = Console(as_json=as_json)
    read_options = read_options_of(told)
    target = find_checkpoint(checkpoint)
    if out.suffix == ".safetensors":
        info = convert_checkpoint(target.path, out, read_options.over(target.read_options))
        console.say(f"{info.backbone}, {info.branch} branch of a {info.family} file")
        console.say_place(out, told=True)
        console.json({"out": str(out), "encoder": info.to_dict()})
        return
    from repdiag.cli.gates import end_with
    from repdiag.workflows.convert import convert_to_onnx
    from repdiag.workflows.drift_gates import check_drift_gates, parse_drift_gates
    from repdiag.workflows.options import AnalysisOptions

    gates = parse_drift_gates(fail_on)
    chosen = AnalysisOptions(data=calibrate, read_options=read_options)
    written, drift, worst = convert_to_onnx(target, out, chosen, numbers=numbers, counting=console.counting)
    for line in [] if drift is None else drift.lines():
        console.say(line)
    size = out.stat().st_size
    console.say(f"{numbers}, {size:,} bytes, features differ by {worst:.1e} of the largest one")
    console.say_place(out, told=True)
    found = None if drift is None else drift.to_dict()
    console.json({"out": str(out), "encoder": written.info.to_dict(), "difference": worst, "drift": found})
    if drift is not None:
        end_with(check_drift_gates(gates, drift))
