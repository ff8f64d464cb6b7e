"""A graph as a module: normalised images in, features out, run by onnxruntime on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from repdiag.checkpoints.exported.onnx_graph import OnnxGraph, Port
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

Layout = Literal["NCHW", "NHWC"]
PROVIDER = "CPUExecutionProvider"
_POOLS = ("token", "mean", "max")


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """How the graph takes images: input, layout, type; the side and the batch size where the graph fixes them."""

    name: str
    layout: Layout
    layout_is_known: bool
    dtype: str
    side: int | None
    batch: int | None


class OnnxModule(nn.Module):
    """Images [B, 3, S, S] -> features [B, D] through one tensor of a graph; `inner` names others that can be read."""

    def __init__(
        self,
        graph: OnnxGraph,
        image: ImageInput,
        output: str,
        *,
        pool: str | None = None,
        inner: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.image, self.output, self.pool, self.inner, self.sha256 = image, output, pool, inner, graph.sha256
        self.session = open_session(graph, wanted=(output, *inner))

    def forward(self, images: Tensor) -> Tensor:
        """Return the features; a fixed batch is filled up by repeating the last image, which is dropped again."""
        given = self._as_taken(images)
        size = self.image.batch or len(given)
        parts = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            full = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]) if len(part) < size else part
            parts.append(self._run(full, self.output)[0][: len(part)])
        found = torch.from_numpy(np.concatenate(parts).astype(np.float32, copy=False))
        return self._pooled(found, len(images)).to(images.device)

    def tensors(self, images: Tensor) -> dict[str, Any]:
        """Return the tensors of `inner` by name, as arrays; where the graph fixes the batch, `images` are one."""
        return dict(zip(self.inner, self._run(self._as_taken(images), *self.inner), strict=True)) if self.inner else {}

    def _as_taken(self, images: Tensor) -> Any:
        given = images.detach().cpu().numpy()
        if self.image.dtype == "uint8":
            given = np.rint(np.clip(given, 0.0, 1.0) * 255.0)
        if self.image.layout == "NHWC":
            given = given.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(given.astype(self.image.dtype))

    def _run(self, images: Any, *names: str) -> Any:
        try:
            return self.session.run(list(names), {self.image.name: images})
        except Exception as error:  # onnxruntime raises kinds of its own
            raise CheckpointError(
                "onnxruntime could not run the graph",
                found=f"images {tuple(images.shape)}: {one_line(str(error), 200)}",
                hint="give the size that it was exported for with --image-size N",
            ) from error

    def _pooled(self, found: Tensor, count: int) -> Tensor:
        if found.ndim >= 2 and len(found) == count and sum(size > 1 for size in found.shape[1:]) <= 1:
            return found.reshape(count, -1)
        if found.ndim == 3 and self.pool in _POOLS:
            tokens = {"token": found[:, 0], "mean": found.mean(dim=1), "max": found.amax(dim=1)}
            return tokens[self.pool or ""]
        if found.ndim == 4 and self.pool in ("mean", "max"):  # a map, channels first
            return found.mean(dim=(2, 3)) if self.pool == "mean" else found.amax(dim=(2, 3))
        raise CheckpointError(
            f"the output {one_line(self.output, 60)} is not one vector an image",
            found=f"shape {tuple(found.shape)} for {count} images",
            hint="--pool token, mean or max makes one of tokens or a map; --output NAME takes another tensor",
        )

    def extra_repr(self) -> str:
        """Return what cached embeddings are told apart by: the graph has no tensors of torch."""
        return f"{self.sha256}, {self.image}, output={self.output}, pool={self.pool}, {PROVIDER}"


def open_session(graph: OnnxGraph, *, wanted: tuple[str, ...]) -> Any:
    """Return a session on the CPU that gives the wanted tensors, which may lie inside of the graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 4
    known = {port.name for port in graph.outputs}
    source: Any = str(graph.path)
    inner = [name for name in dict.fromkeys(wanted) if name not in known]
    if inner:
        model = type(graph.model)()
        model.CopyFrom(graph.model)
        for name in inner:
            model.graph.output.add().name = name
        source = model.SerializeToString()
        folder = str(graph.path.resolve().parent)
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    try:
        return onnxruntime.InferenceSession(source, options, providers=[PROVIDER])
    except Exception as error:  # onnxruntime raises kinds of its own
        raise CheckpointError(
            f"onnxruntime does not take {graph.path}",
            found=one_line(str(error), 300),
            hint="export it again; onnx.checker.check_model(path) says more",
        ) from error


def image_input(graph: OnnxGraph) -> ImageInput:
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
    if port.dtype not in ("float32", "float16", "float64", "uint8"):
        raise CheckpointError(f"{graph.path} takes images of a type that is not known here", found=str(port))
    batch = port.dims[0]
    return ImageInput(
        name=port.name,
        layout=layout,
        layout_is_known=known,
        dtype=port.dtype,
        side=fixed[0] if fixed else None,
        batch=batch if isinstance(batch, int) and batch > 0 else None,
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


def chosen_output(graph: OnnxGraph, asked: str | None) -> str:
    """Return the name of the tensor that is the embedding: the one asked for, or the only output there is."""
    names = [port.name for port in graph.outputs]
    if asked is not None:
        if asked not in names and asked not in graph.tensors:
            from repdiag.core.errors import unknown_name

            raise unknown_name("tensor of the graph", asked, [*names, *graph.tensors[-200:]])
        return asked
    if len(names) > 1:
        raise CheckpointError(
            f"{graph.path} has {len(names)} outputs, and nothing says which one is the embedding",
            found="; ".join(str(port) for port in graph.outputs[:8]) + ("; ..." if len(names) > 8 else ""),
            hint=f"name it, such as --output {one_line(names[0], 60)}",
        )
    return names[0]
