"""The momentum (EMA) copy of a network."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

M = TypeVar("M", bound=nn.Module)


def momentum_copy(online: M) -> M:
    """Return a copy with the same weights that receives no gradients."""
    return copy.deepcopy(online).requires_grad_(False)


@torch.no_grad()
def update_momentum(target: nn.Module, online: nn.Module, *, momentum: float) -> None:
    """Move the parameters: target <- momentum * target + (1 - momentum) * online, all tensors in one call.

    Buffers (batch-norm statistics) are left alone: the target collects its own.
    """
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1.0 - momentum)
