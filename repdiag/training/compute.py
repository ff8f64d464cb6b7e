"""Where and with which arithmetic the steps run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from repdiag.config.training import LoopSettings
from repdiag.core.errors import UsageError


@dataclass(frozen=True)
class Compute:
    """Device, precision, memory layout and whether only reproducible algorithms are allowed."""

    device: torch.device
    bf16: bool
    channels_last: bool
    deterministic: bool

    def autocast(self) -> torch.autocast:
        """Return the context of the forward pass."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bf16)

    def layout(self, images: Tensor) -> Tensor:
        """Return the images in the layout of the run."""
        return images.contiguous(memory_format=torch.channels_last) if self.channels_last else images

    @contextlib.contextmanager
    def rules(self, *, threads: int) -> Iterator[None]:
        """Hold torch to the run's number of threads and its reproducible algorithms; undo both afterwards."""
        before = torch.are_deterministic_algorithms_enabled()
        memory = torch.utils.deterministic
        filled_before = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
        threads_before = torch.get_num_threads()
        if self.deterministic and self.device.type == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(self.deterministic)
        memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs 5 %
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            memory.fill_uninitialized_memory = filled_before  # type: ignore[attr-defined]
            torch.set_num_threads(threads_before)


def choose_compute(settings: LoopSettings, *, device: str = "auto") -> Compute:
    """Decide everything that the settings leave to the machine."""
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    on_gpu = chosen.type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", found=f"--device {device}", hint="use --device cpu")
    bf16 = settings.precision == "bf16" or (settings.precision == "auto" and on_gpu and torch.cuda.is_bf16_supported())
    return Compute(
        device=chosen,
        bf16=bf16,
        channels_last=settings.channels_last,
        deterministic=not on_gpu if settings.deterministic is None else settings.deterministic,
    )
