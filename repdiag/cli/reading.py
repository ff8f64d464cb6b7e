"""The options that say how a checkpoint file is to be read: declared once, taken by every command that reads one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdiag.cli import options
from repdiag.core.errors import UsageError
from repdiag.workflows.typed_options import Told

if TYPE_CHECKING:
    from repdiag.embeddings.sources.vector_options import VectorOptions


NOTHING_TOLD: Told = {}
_HELD = "told"  # the parameter of a command that stands for all of them
_FLAGS: Mapping[str, Any] = {
    "branch": options.Branch,
    "backbone": options.Backbone,
    "prefix": options.Prefix,
    "heads": options.Heads,
    "pool": Annotated[
        str | None,
        typer.Option(help="Pooling of the features: token, mean, max, mean+max, mean,max, max,mean, gem or map."),
    ],
    "activation": Annotated[str | None, typer.Option(help="gelu, gelu_tanh, quick_gelu, relu or silu.")],
    "norm_eps": Annotated[float | None, typer.Option(help="Epsilon of a transformer's layer norms.")],
    "grid": Annotated[str | None, typer.Option(help="ROWS,COLUMNS of patches that position embeddings stand for.")],
    "resample": Annotated[
        str | None,
        typer.Option(help="How position embeddings are resized: dino, scaled, bicubic, antialiased or corners."),
    ],
    "stem_padding": options.StemPadding,
    "stem": Annotated[
        str | None,
        typer.Option(help="STRIDE,POOL of a ResNet's first convolution, such as 1,none or 2,max."),
    ],
    "output_stride": Annotated[int | None, typer.Option(min=1, help="What a ResNet's last map is smaller by.")],
    "dilated": Annotated[bool | None, typer.Option(help="Strides that --output-stride leaves out become dilation.")],
    "stride_in": Annotated[str | None, typer.Option(help="Convolution in which bottlenecks stride: 1x1 or 3x3.")],
    "image_size": options.ImageSize,
    "resize": Annotated[
        str | None,
        typer.Option(help="crop (the centre), squash (both sides), or the shorter side before the crop in pixels."),
    ],
    "interpolation": Annotated[str | None, typer.Option(help="bilinear or bicubic.")],
    "mean": options.Mean,
    "std": options.Std,
    "output": Annotated[str | None, typer.Option("--output", help="Of an ONNX graph, the tensor to take as features.")],
}


def takes_read_options(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each way of reading in the place of its parameter `told`."""
    signature = inspect.signature(command, eval_str=True)
    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name != _HELD:
            parameters.append(parameter)
            continue
        parameters += [
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=flag)
            for name, flag in _FLAGS.items()
        ]

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:
        given |= dict(zip([parameter.name for parameter in parameters], args, strict=False))
        told = {name: given.pop(name, None) for name in _FLAGS}
        command(**given, told=told)

    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def vector_options_of(
    column: str | None,
    label_column: str | None,
    group_column: str | None,
    tokens: str | None,
    quantised: str | None,
    unlabelled: str | None,
) -> VectorOptions:
    """Return what the command line says about reading vectors."""
    from repdiag.embeddings.sources.vector_options import VectorOptions

    return VectorOptions(
        column=column,
        label_column=label_column,
        group_column=group_column,
        tokens=tokens,  # type: ignore[arg-type]  # another word is refused there
        quantised=quantised,
        unlabelled=unlabelled,
    )


def metric_names(text: str | None) -> list[str] | None:
    """Return the names of --metrics; None without them."""
    names = None if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if names == []:
        raise UsageError("--metrics names no metric", hint="leave it out for all that apply; repdiag metrics list")
    return names
