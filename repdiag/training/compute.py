"""Where and with which arithmetic the steps run."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from repdiag.config.training import LoopSettings
from repdiag.core.errors import UsageError

_REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Compute:
    """Device, precision, memory layout and whether only reproducible algorithms are allowed."""

    device: torch.device
    reduced: torch.dtype | None
    """The type of the forward pass's products where that is not float32."""
    channels_last: bool
    deterministic: bool

    def autocast(self) -> torch.autocast:
        """Return the context of the forward pass."""
        enabled = self.reduced is not None
        return torch.autocast(self.device.type, dtype=self.reduced or torch.bfloat16, enabled=enabled)

    def loss_scaler(self) -> torch.amp.GradScaler:
        """Return what keeps float16's small gradients from vanishing; for any other type it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.reduced is torch.float16)

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
        search_before = torch.backends.cudnn.benchmark
        # All steps have the same shapes: the fastest convolutions are worth looking for, and may be others each time.
        torch.backends.cudnn.benchmark = self.device.type == "cuda" and not self.deterministic
        memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # a debugging aid that costs 5 %
        torch.set_num_threads(threads)
        try:
            with self._attention():
                yield
        finally:
            torch.use_deterministic_algorithms(before)
            torch.backends.cudnn.benchmark = search_before
            memory.fill_uninitialized_memory = filled_before  # type: ignore[attr-defined]
            torch.set_num_threads(threads_before)

    def _attention(self) -> contextlib.AbstractContextManager[None]:
        """Return the context that keeps a CPU's attention to products whose bits do not depend on where memory lies.

        The fused kernel gives other bits for inputs that do not start at a multiple of 16 bytes.
        """
        if self.deterministic and self.device.type == "cpu":
            chosen: contextlib.AbstractContextManager[None] = sdpa_kernel(SDPBackend.MATH)
            return chosen
        return contextlib.nullcontext()


def choose_compute(settings: LoopSettings, *, device: str = "auto") -> Compute:
    """Decide everything that the settings leave to the machine."""
    chosen = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    on_gpu = chosen.type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise UsageError("there is no CUDA device here", found=f"--device {device}", hint="use --device cpu")
    precision = settings.precision
    if precision == "auto":
        precision = "bf16" if on_gpu and torch.cuda.is_bf16_supported() else "fp32"
    return Compute(
        device=chosen,
        reduced=_REDUCED.get(precision),
        channels_last=settings.channels_last,
        deterministic=not on_gpu if settings.deterministic is None else settings.deterministic,
    )
