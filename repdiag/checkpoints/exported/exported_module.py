"""What the modules around every runtime share: images as the file takes them, fixed batches, one vector an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from repdiag.checkpoints.exported.ports import ExportedFile, ImageInput, one_vector_each
from repdiag.core.errors import CheckpointError
from repdiag.core.printable import one_line


class ExportedModule(nn.Module):
    """Normalised images [B, 3, S, S] -> features [B, D] through one tensor of an exported file."""

    runtime = ""
    """The runtime and its version."""

    def __init__(self, file: ExportedFile, image: ImageInput, output: str, *, pool: str | None) -> None:
        super().__init__()
        self.image, self.output, self.pool = image, output, pool
        self.sha256, self.bytes = file.sha256, file.bytes

    def forward(self, images: Tensor) -> Tensor:
        """Return the features; a fixed batch is filled up by repeating the last image, which is dropped again."""
        given = as_taken(images, self.image)
        size = self.image.batch or max(1, len(given))
        parts = []
        for start in range(0, len(given), size):
            part = given[start : start + size]
            full = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)]) if len(part) < size else part
            parts.append(self.ran(full)[: len(part)])
        found = torch.from_numpy(np.concatenate(parts).astype(np.float32, copy=False))
        pooled = one_vector_each(found, len(images), output=self.output, pool=self.pool, layout=self.image.layout)
        return pooled.to(images.device)

    work: Callable[[int], int | None] | None = None
    """Images' side -> operations of convolutions and products for one image; None where they are not counted."""

    def ran(self, images: Any) -> Any:
        """Return the output for one batch, as numbers; `images` are an array of the input's layout and type."""
        raise NotImplementedError

    def again(self) -> ExportedModule:
        """Return the same module in a new session, on as many threads as torch has now."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Return what cached embeddings are told apart by: the file has no tensors of torch."""
        return f"{self.sha256}, {self.image}, output={self.output}, pool={self.pool}, {self.runtime}"


def as_taken(images: Tensor, image: ImageInput) -> Any:
    """Return images as an array of the layout and type that the input has.

    Whole numbers with a scale are round(x / scale) + zero_point, cut at the type's ends; bytes without one are pixels.
    """
    given = images.detach().cpu().numpy()
    if image.scale:
        ends = np.iinfo(image.dtype)
        given = np.clip(np.rint(given / image.scale) + image.zero_point, ends.min, ends.max)
    elif image.dtype == "uint8":
        given = np.rint(np.clip(given, 0.0, 1.0) * 255.0)
    if image.layout == "NHWC":
        given = given.transpose(0, 2, 3, 1)
    return np.ascontiguousarray(given.astype(image.dtype))


def could_not_run(runtime: str, images: Any, error: Exception) -> CheckpointError:
    """Return the error for a file that its runtime took and then did not run."""
    return CheckpointError(
        f"{runtime} could not run the graph",
        found=f"images {tuple(images.shape)}: {one_line(str(error), 200)}",
        hint="give the size that it was exported for with --image-size N",
    )
