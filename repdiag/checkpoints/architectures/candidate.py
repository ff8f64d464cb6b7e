"""`Candidate`: an architecture that could be the one whose tensors a file holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A name, how to build the network without its head, where its features are read, and what was assumed."""

    name: str
    build: Callable[[], nn.Module]
    layer: str = "pooling"
    image_size: int | None = None
    assumptions: tuple[str, ...] = ()
