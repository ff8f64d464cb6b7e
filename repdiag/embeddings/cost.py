"""What an encoder costs on this machine, measured by running it with the runtime that would run it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from repdiag.checkpoints.encoder import Encoder
from repdiag.core.encoder_cost import EncoderCost
from repdiag.core.errors import RepdiagError
from repdiag.core.memory import memory_taken

if TYPE_CHECKING:
    from repdiag.checkpoints.exported.exported_module import ExportedModule

_ROUNDS, _SECONDS = 15, 2.0
_SECONDS_ALONE = 0.5


def measure_cost(
    encoder: Encoder, *, device: str | torch.device = "cpu", batch: int = 16, threads: int = 1
) -> EncoderCost:
    """Return the encoder's size, width, operations an image, milliseconds an image and memory, at its own image size.

    Operations are those that torch's counter knows (convolutions, matrix products, attention), of a graph its
    convolutions and products, two for a multiplication and an addition. Times are medians of up to 15 batches, and of
    up to 15 single images, after one to warm up, at most two and a half seconds in all, on `threads` threads: on one
    they hardly depend on what else the machine does. Memory is what the process
    grows by for one image at most, its weights added where they lie in it already; Linux and CUDA alone tell.

    Example:
        >>> from torch import nn
        >>> from repdiag.checkpoints.encoder import EncoderInfo
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4))
        >>> known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
        >>> cost = measure_cost(Encoder(network, EncoderInfo(**known, feature_dim=4, image_size=2, parameters=52)))
        >>> cost.parameters, cost.width, cost.gflops
        (52, 4, 9.6e-08)
    """
    place = torch.device(device)
    encoder.to(place)
    size = encoder.info.image_size
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0)).to(place)
    with torch.inference_mode(), _on_threads(threads):
        graph = _graph(encoder)
        run = encoder if graph is None else graph.module
        width = int(run(images).shape[1])
        times = _times(run, images, seconds=_SECONDS)
        alone = _times(run, images[:1], seconds=_SECONDS_ALONE)
        memory = _memory(encoder, images[:1]) if graph is None else graph.memory(images[:1])
    return EncoderCost(
        # A graph of another runtime has no parameters of torch.
        parameters=sum(parameter.numel() for parameter in encoder.backbone.parameters()) or encoder.info.parameters,
        width=width,
        gflops=_work(encoder, images[:1]) if graph is None else graph.work(size),
        ms_per_image=1000.0 * statistics.median(times) / batch,
        ms_alone=1000.0 * statistics.median(alone),
        file_bytes=_file_bytes(encoder.info.path) if graph is None else graph.bytes,
        peak_bytes=memory,
        runtime=f"torch {torch.__version__.partition('+')[0]}" if graph is None else graph.module.runtime,
        device=str(place),
        threads=threads if place.type == "cpu" else None,
        batch=batch,
    )


@contextmanager
def _on_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _times(encoder: nn.Module, images: Tensor, *, seconds: float) -> list[float]:
    found: list[float] = []
    while not found or (len(found) < _ROUNDS and sum(found) < seconds):
        started = time.perf_counter()
        encoder(images)
        if images.is_cuda:
            torch.cuda.synchronize()
        found.append(time.perf_counter() - started)
    return found


def _work(encoder: Encoder, image: Tensor) -> float:
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        encoder(image)
    return float(counter.get_total_flops()) / 1e9


def _memory(encoder: Encoder, image: Tensor) -> int | None:
    if image.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        encoder(image)
        return int(torch.cuda.max_memory_allocated())
    taken = memory_taken(lambda: encoder(image))
    held = [*encoder.backbone.parameters(), *encoder.backbone.buffers()]
    return None if taken is None else taken + sum(tensor.numel() * tensor.element_size() for tensor in held)


@dataclass(frozen=True)
class _Graph:
    """A graph of another runtime, in a session on the threads of now, and the bytes of its files."""

    module: ExportedModule
    bytes: int

    def work(self, size: int) -> float | None:
        try:
            found = self.module.work(size) if self.module.work is not None else None
        except RepdiagError:  # a graph that does not run with its inner tensors read
            return None
        return None if found is None else found / 1e9

    def memory(self, image: Tensor) -> int | None:
        """Return what a new session takes with one image; the weights are among it."""
        return memory_taken(lambda: self.module.again()(image))


def _graph(encoder: Encoder) -> _Graph | None:
    from repdiag.checkpoints.exported.exported_module import ExportedModule

    own = encoder.backbone
    return _Graph(own.again(), own.bytes) if isinstance(own, ExportedModule) else None


def _file_bytes(path: str) -> int | None:
    from repdiag.checkpoints.reading.safe_load import weight_file
    from repdiag.checkpoints.reading.shards import size_of_weights

    try:
        return size_of_weights(weight_file(Path(path))) if path else None
    except (RepdiagError, OSError):  # a network that was never in a file
        return None
