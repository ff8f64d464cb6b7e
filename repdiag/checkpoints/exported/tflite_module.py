"""A .tflite file as a module: normalised images in, features out, run by LiteRT on the CPU."""

from __future__ import annotations

from importlib.metadata import version
from math import prod
from typing import Any

import numpy as np
import torch

from repdiag.checkpoints.exported.exported_module import ExportedModule, could_not_run
from repdiag.checkpoints.exported.ports import ImageInput
from repdiag.checkpoints.exported.tflite_file import TfliteFile, needed_package
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line

# What makes as many operations as convolutions and products, and is not counted here.
_UNCOUNTED = frozenset(
    {"TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE", "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "RNN", "SVDF", "WHILE"}
    | {"IF", "CALL_ONCE", "STABLEHLO_COMPOSITE", "STABLEHLO_DOT_GENERAL", "STABLEHLO_CONVOLUTION"}
)


class TfliteModule(ExportedModule):
    """Images [B, 3, S, S] -> features [B, D] through one tensor of a file."""

    def __init__(self, file: TfliteFile, image: ImageInput, output: str, *, pool: str | None = None) -> None:
        super().__init__(file, image, output, pool=pool)
        self.file = file
        self.runtime = f"LiteRT {version('ai-edge-litert')}"
        self.session = _opened(file, is_inner=file.places[output] not in _places_of_outputs(file))

    def ran(self, images: Any) -> Any:
        """Return the output for one batch; whole numbers that stand for others are those others."""
        session = self.session
        try:
            (taken,) = session.get_input_details()
            if tuple(taken["shape"]) != images.shape:
                session.resize_tensor_input(taken["index"], images.shape, strict=True)
                session.allocate_tensors()
            session.set_tensor(taken["index"], images)
            session.invoke()
            found = session.get_tensor(self.file.places[self.output])
        except (ValueError, RuntimeError) as error:  # LiteRT's own
            raise could_not_run("LiteRT", images, error) from error
        return self._as_numbers(found)

    def again(self) -> ExportedModule:
        """Return the same module in a new interpreter."""
        return type(self)(self.file, self.image, self.output, pool=self.pool)

    def work(self, _size: int) -> int | None:
        """Return the operations for one image.

        Formula: a convolution 2 |output| |kernel| channels, a depthwise one 2 |output| |kernel|, a product 2 |result| K
        """
        file, sizes = self.file, self.file.sizes
        if file.subgraphs > 1 or self.image.side is None or any(item.kind in _UNCOUNTED for item in file.operators):
            return None
        count = 0
        for item in file.operators:
            if item.kind == "CONV_2D":
                count += 2 * prod(sizes[item.outputs[0]]) * prod(sizes[item.inputs[1]][1:])
            elif item.kind == "DEPTHWISE_CONV_2D":
                count += 2 * prod(sizes[item.outputs[0]]) * prod(sizes[item.inputs[1]][1:3])
            elif item.kind in ("FULLY_CONNECTED", "BATCH_MATMUL"):
                count += 2 * prod(sizes[item.outputs[0]]) * sizes[item.inputs[0]][-1]
        return count // (self.image.batch or 1)

    def _as_numbers(self, found: Any) -> Any:
        details = {item["index"]: item for item in self.session.get_tensor_details()}
        quantised = details[self.file.places[self.output]]["quantization_parameters"]
        scales, zero_points = quantised["scales"], quantised["zero_points"]
        if not np.issubdtype(found.dtype, np.integer) or not len(scales):
            return found
        if len(scales) > 1:  # one for each place along an axis
            shape = [1] * found.ndim
            shape[quantised["quantized_dimension"]] = -1
            scales, zero_points = scales.reshape(shape), zero_points.reshape(shape)
        return (found.astype(np.float32) - zero_points) * scales


def _places_of_outputs(file: TfliteFile) -> set[int]:
    return {file.places[port.name] for port in file.outputs}


def _opened(file: TfliteFile, *, is_inner: bool) -> Any:
    """Return an interpreter on as many threads as torch has; an inner tensor is kept, and not fused away."""
    interpreter, _ = needed_package()
    kinds = interpreter.OpResolverType
    settings: dict[str, Any] = {"num_threads": torch.get_num_threads()}
    if is_inner:
        settings |= {
            "experimental_preserve_all_tensors": True,
            "experimental_op_resolver_type": kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        }
    try:
        session = interpreter.Interpreter(model_path=str(file.path), **settings)
        session.allocate_tensors()
    except (ValueError, RuntimeError) as error:  # LiteRT's own
        raise CheckpointError(
            f"LiteRT does not take {file.path}", found=one_line(str(error), 300), hint="copy or convert it again"
        ) from error
    return session
