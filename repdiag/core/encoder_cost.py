"""What an encoder costs: its size, its work an image, its time an image and its memory on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EncoderCost:
    """Size, width, work, time and memory of an encoder; None where not measured.

    `gflops` counts a multiplication and an addition as two operations. `ms_per_image` was measured here by `runtime`,
    on `device` with `threads` threads in batches of `batch` images, `ms_alone` with one image at a time; they say
    nothing of other machines. `file_bytes` is the size of the file (all of them, where there are several);
    `peak_bytes` what the weights and the work on one image take at most.
    """

    parameters: int | None = None
    width: int | None = None
    gflops: float | None = None
    ms_per_image: float | None = None
    ms_alone: float | None = None
    file_bytes: int | None = None
    peak_bytes: int | None = None
    runtime: str = ""
    device: str = ""
    threads: int | None = None
    batch: int | None = None
