"""What an encoder costs: its size, its work an image, its time an image on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EncoderCost:
    """Parameters of the backbone, width of its features, work and time for one image; None where not measured.

    `gflops` counts a multiplication and an addition as two operations; `ms_per_image` was measured here, on `device`
    with `threads` threads in batches of `batch` images, and says nothing of other machines.
    """

    parameters: int | None = None
    width: int | None = None
    gflops: float | None = None
    ms_per_image: float | None = None
    device: str = ""
    threads: int | None = None
    batch: int | None = None
