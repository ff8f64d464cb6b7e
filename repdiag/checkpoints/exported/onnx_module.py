"""A graph as a module: normalised images in, features out, run by onnxruntime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.checkpoints.exported.exported_module import ExportedModule, as_taken, could_not_run
from repdiag.checkpoints.exported.onnx_graph import OnnxGraph
from repdiag.checkpoints.exported.onnx_work import operations_of
from repdiag.checkpoints.exported.ports import ImageInput
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

PROVIDER = "CPUExecutionProvider"


class OnnxModule(ExportedModule):
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
        import onnxruntime

        super().__init__(graph, image, output, pool=pool)
        self.graph, self.inner = graph, inner
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        self.session = open_session(graph, wanted=(output, *inner))

    def ran(self, images: Any) -> Any:
        """Return the output for one batch."""
        found = self._run(images, self.output)[0]
        if not isinstance(found, np.ndarray):
            raise CheckpointError(
                f"the output {one_line(self.output, 60)} is a {type(found).__name__} and no tensor",
                hint="--output NAME takes a tensor inside of the graph",
            )
        return found

    def tensors(self, images: Tensor) -> dict[str, Any]:
        """Return the tensors of `inner` by name, as arrays; where the graph fixes the batch, `images` are one."""
        taken = as_taken(images, self.image)
        return dict(zip(self.inner, self._run(taken, *self.inner), strict=True)) if self.inner else {}

    def again(self) -> ExportedModule:
        """Return the same module in a new session."""
        return type(self)(self.graph, self.image, self.output, pool=self.pool, inner=self.inner)

    def work(self, size: int) -> int | None:
        """Return the operations for one image; see `operations_of`."""

        def read(names: tuple[str, ...], images: Tensor) -> dict[str, Any]:
            return type(self)(self.graph, self.image, self.output, inner=names).tensors(images)

        return operations_of(self.graph, self.image, size=size, read=read)

    def _run(self, images: Any, *names: str) -> Any:
        try:
            return self.session.run(list(names), {self.image.name: images})
        except Exception as error:  # onnxruntime raises kinds of its own
            raise could_not_run("onnxruntime", images, error) from error

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
