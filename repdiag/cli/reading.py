"""Groups of options: declared once, taken by every command that reads a file, analyzes, or speaks."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repdiag.cli import options
from repdiag.cli.console import Console, resolve_device
from repdiag.core.errors import UsageError
from repdiag.workflows.typed_options import Told, read_options_of

if TYPE_CHECKING:
    from repdiag.embeddings.sources.vector_options import VectorOptions
    from repdiag.workflows.options import AnalysisOptions


NOTHING_TOLD: Told = {}
Typed = Mapping[str, Any]
READING: Mapping[str, Any] = {
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
    "grid": Annotated[str | None, typer.Option(help="ROWS,COLUMNS of patches of the position embeddings.")],
    "resample": Annotated[
        str | None,
        typer.Option(help="How position embeddings are resized: dino, scaled, bicubic, antialiased or corners."),
    ],
    "stem_padding": options.StemPadding,
    "stem": Annotated[
        str | None,
        typer.Option(help="STRIDE,POOL of a ResNet's first convolution, such as 1,none or 2,max."),
    ],
    "output_stride": Annotated[int | None, typer.Option(min=1, help="Image size over that of a ResNet's last map.")],
    "dilated": Annotated[bool | None, typer.Option(help="Dilate where --output-stride removes strides.")],
    "stride_in": Annotated[str | None, typer.Option(help="Where bottlenecks have their stride: 1x1 or 3x3.")],
    "image_size": options.ImageSize,
    "resize": Annotated[
        str | None,
        typer.Option(help="crop (the centre), squash (both sides), or the shorter side before the crop in pixels."),
    ],
    "interpolation": Annotated[str | None, typer.Option(help="bilinear or bicubic.")],
    "channel_order": Annotated[str | None, typer.Option(help="rgb or bgr (--mean and --std in that order).")],
    "mean": options.Mean,
    "std": options.Std,
    "output": Annotated[str | None, typer.Option("--output", help="ONNX: the tensor to use as features.")],
}


VECTORS: Mapping[str, Any] = {
    "column": options.Column,
    "label_column": options.LabelColumn,
    "group_column": options.GroupColumn,
    "tokens": options.Tokens,
    "quantised": options.Quantised,
    "unlabelled": options.Unlabelled,
    "relabel": (options.Relabel, False),
}
# A flag, or a flag and what it is without being typed.
IMAGES: Mapping[str, Any] = {
    "data": options.Data,
    "limit": options.Limit,
    "download": (options.Download, False),
    "strict_data": (options.StrictData, False),
    "check_content": (options.CheckContent, False),
}
MACHINE: Mapping[str, Any] = {
    "device": (options.Device, "auto"),
    "batch_size": (options.BatchSize, 256),
    "workers": (options.Workers, 0),
    "fast": (options.Fast, False),
    "no_cache": (options.NoCache, False),
}
EFFORT: Mapping[str, Any] = {"quick": (options.Quick, False), "precision": options.Precision}
ANALYSIS: Mapping[str, Any] = {
    **IMAGES,
    **EFFORT,
    "per_class": options.PlannedPerClass,
    "max_rows": (options.MaxRows, 10_000),
    "max_minutes": (options.MaxMinutes, 10.0),
    "seed": (options.Seed, 0),
    "classes": (options.Classes, "fixed"),
    "untrained": (Annotated[bool, typer.Option(help="Also evaluate an untrained copy of each encoder.")], True),
    "mute": options.Mute,
    **MACHINE,
}
SPEAKING: Mapping[str, Any] = {
    "as_json": (options.Json, False),
    "verbose": (options.Verbose, False),
    "quiet": (options.Quiet, False),
    "no_progress": (options.NoProgress, False),
}


def takes(**groups: Mapping[str, Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that puts the options of each group in the place of the parameter of that name.

    The command gets the group as one mapping, name -> what was typed.
    """

    def with_groups(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        parameters: list[inspect.Parameter] = []
        for parameter in signature.parameters.values():
            parameters += _options(groups[parameter.name]) if parameter.name in groups else [parameter]

        @functools.wraps(command)
        def run(*args: Any, **given: Any) -> None:
            known = {each.name: each.default for each in parameters if each.default is not each.empty}
            given = {**known, **dict(zip([each.name for each in parameters], args, strict=False)), **given}
            typed = {held: {name: given.pop(name) for name in group} for held, group in groups.items()}
            command(**given, **typed)

        run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return with_groups


def _options(group: Mapping[str, Any]) -> list[inspect.Parameter]:
    pairs = {name: flag if isinstance(flag, tuple) else (flag, None) for name, flag in group.items()}
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [inspect.Parameter(name, kind, default=default, annotation=flag) for name, (flag, default) in pairs.items()]


def analysis_options_of(typed: Typed, told: Told = NOTHING_TOLD, **more: Any) -> AnalysisOptions:
    """Return what the command line says about an analysis."""
    from repdiag.workflows.options import AnalysisOptions

    given = machine_of(typed)
    mute = given.pop("mute", None) or ()
    return AnalysisOptions(**given, mute=mute, read_options=read_options_of(told), **more)


def vector_asked_of(typed: Typed) -> dict[str, Any]:
    """Return what the command line says about an analysis of vectors."""
    return {name: typed[name] for name in ("seed", "quick", "precision")} | {"mute": typed["mute"] or ()}


def machine_of(typed: Typed) -> dict[str, Any]:
    """Return what was typed with the device resolved, and the cache said as what is wanted."""
    given = dict(typed)
    cache = not given.pop("no_cache")
    return {**given, "device": resolve_device(given["device"]), "cache": cache}


def console_of(typed: Typed, *, speaks: bool = True) -> Console:
    """Return where the words of a command go; a process that does not speak keeps quiet."""
    return Console(
        as_json=typed["as_json"] and speaks,
        quiet=typed["quiet"] or not speaks,
        verbose=typed["verbose"],
        progress=not typed["no_progress"],
    )


def vector_options_of(typed: Typed) -> VectorOptions:
    """Return what the command line says about reading vectors."""
    from repdiag.embeddings.sources.vector_options import VectorOptions

    return VectorOptions(**typed)


def metric_names(text: str | None) -> list[str] | None:
    """Return the names of --metrics; None without them."""
    names = None if text is None else [name.strip() for name in text.split(",") if name.strip()]
    if names == []:
        raise UsageError("--metrics names no metric", hint="leave it out for all that apply; repdiag metrics list")
    return names
