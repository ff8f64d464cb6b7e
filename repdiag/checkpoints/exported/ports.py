"""What an exported file says of itself: inputs and outputs, how it takes images, and which tensor is the embedding."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from torch import Tensor

from repdiag.core.errors import CheckpointError, unknown_name
from repdiag.core.printable import one_line

Layout = Literal["NCHW", "NHWC"]
Dims = tuple[int | str, ...]
_POOLS = ("token", "mean", "max")
_FLOATING = ("float32", "float16", "float64")


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a graph: its name, its element type as numpy calls it, its sizes (a word: any).

    Of whole numbers that stand for others, number = `scale` * (whole number - `zero_point`); a scale of 0 says no such.
    """

    name: str
    dtype: str
    dims: Dims
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        quantised = f", {self.scale:g} * (n - {self.zero_point})" if self.scale else ""
        sizes = ", ".join(one_line(str(size), 20) for size in self.dims)
        return f"{one_line(self.name, 60)} {self.dtype} [{sizes}]{quantised}"


@runtime_checkable
class ExportedFile(Protocol):
    """A checked file of an exporter."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def inputs(self) -> tuple[Port, ...]:
        """What it takes."""

    @property
    def outputs(self) -> tuple[Port, ...]:
        """What it gives."""

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors that it computes."""

    @property
    def sha256(self) -> str:
        """Of the file and of the data that it keeps in other files."""

    @property
    def bytes(self) -> int:
        """The size of all of them."""

    @property
    def parameters(self) -> int:
        """How many numbers it holds."""

    @property
    def metadata(self) -> dict[str, str]:
        """What was written into it beside the graph."""


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """How the graph takes images: input, layout, type; the side and the batch size where the graph fixes them."""

    name: str
    layout: Layout
    layout_is_known: bool
    dtype: str
    side: int | None
    batch: int | None
    scale: float = 0.0
    zero_point: int = 0


def image_input(graph: ExportedFile) -> ImageInput:
    """Return how a graph takes images; raises `CheckpointError` where it takes something else."""
    ports = graph.inputs
    images = [port for port in ports if len(port.dims) == 4]
    if len(ports) != 1 or len(images) != 1:
        found = "; ".join(str(port) for port in ports[:6]) or "no input"
        raise CheckpointError(
            f"{graph.path} does not take images alone",
            found=found,
            hint="of vectors or texts, store what it gives and compare that: repdiag drift a.npz b.npz",
        )
    port = images[0]
    layout, known = _layout(port)
    sides = port.dims[2:] if layout == "NCHW" else port.dims[1:3]
    fixed = [side for side in sides if isinstance(side, int) and side > 0]
    if len(set(fixed)) > 1:
        raise CheckpointError(f"{graph.path} takes images that are not square", found=str(port))
    if port.dtype not in (*_FLOATING, "uint8") and not (port.dtype == "int8" and port.scale):
        raise CheckpointError(f"{graph.path} takes images of an unknown type", found=str(port))
    batch = port.dims[0]
    return ImageInput(
        name=port.name,
        layout=layout,
        layout_is_known=known,
        dtype=port.dtype,
        side=fixed[0] if fixed else None,
        batch=batch if isinstance(batch, int) and batch > 0 else None,
        scale=0.0 if port.dtype in _FLOATING else port.scale,
        zero_point=port.zero_point,
    )


def _layout(port: Port) -> tuple[Layout, bool]:
    first, last = port.dims[1], port.dims[3]
    if first == 3:
        return "NCHW", True
    if last == 3:
        return "NHWC", True
    if isinstance(first, int) and isinstance(last, int):
        raise CheckpointError("the graph takes images of other than three channels", found=str(port))
    return "NCHW", False


def chosen_output(graph: ExportedFile, asked: str | None) -> str:
    """Return the name of the tensor that is the embedding: the one asked for, or the only output there is."""
    names = [port.name for port in graph.outputs]
    if asked is not None:
        if asked not in names and asked not in graph.tensors:
            raise unknown_name("tensor of the graph", asked, [*names, *graph.tensors[-200:]])
        return asked
    if len(names) > 1:
        raise CheckpointError(
            f"{graph.path} has {len(names)} outputs, and does not say which one is the embedding",
            found="; ".join(str(port) for port in graph.outputs[:8]) + ("; ..." if len(names) > 8 else ""),
            hint=f"name it, such as --output {one_line(names[0], 60)}",
        )
    return names[0]


def one_vector_each(found: Tensor, count: int, *, output: str, pool: str | None, layout: Layout = "NCHW") -> Tensor:
    """Return [B, D] of what a graph gives for `count` images; tokens [B, T, D] and maps are pooled as asked.

    A map has its channels where the images have theirs.
    """
    if found.ndim >= 2 and len(found) == count and sum(size > 1 for size in found.shape[1:]) <= 1:
        return found.reshape(count, -1)
    is_row_each = len(found) == count
    if is_row_each and found.ndim == 3 and pool in _POOLS:
        tokens = {"token": found[:, 0], "mean": found.mean(dim=1), "max": found.amax(dim=1)}
        return tokens[pool or ""]
    if is_row_each and found.ndim == 4 and pool in ("mean", "max"):
        places = (2, 3) if layout == "NCHW" else (1, 2)
        return found.mean(dim=places) if pool == "mean" else found.amax(dim=places)
    raise CheckpointError(
        f"the output {one_line(output, 60)} is not one vector per image",
        found=f"shape {tuple(found.shape)} for {count} images",
        hint="--pool token, mean or max pools tokens or a map; --output NAME takes another tensor",
    )
