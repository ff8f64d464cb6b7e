"""A ring of the latest keys: the negatives of momentum contrast."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from repdiag.core.errors import ConfigError
from repdiag.core.shapes import Float, Tensor


class KeyQueue(nn.Module):
    """The last `size` keys, unit vectors [K, P]; starts with random directions."""

    keys: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("keys", F.normalize(torch.randn(size, dim), dim=1))
        self.position = 0

    @torch.no_grad()
    def push(self, keys: Float[Tensor, "B P"]) -> None:
        """Replace the oldest keys."""
        size = len(self.keys)
        if len(keys) > size:
            raise ConfigError("method.queue_size must hold at least one batch", found=f"{size} < {len(keys)}")
        head = min(len(keys), size - self.position)
        self.keys[self.position : self.position + head] = keys[:head]
        self.keys[: len(keys) - head] = keys[head:]
        self.position = (self.position + len(keys)) % size

    def state(self) -> dict[str, Any]:
        """Return the keys and the write position, under the names that checkpoints use."""
        return {"queue": self.keys, "queue_ptr": self.position}

    def load(self, state: dict[str, Any]) -> None:
        """Restore `state`."""
        self.keys.copy_(state["queue"])
        self.position = int(state["queue_ptr"])
