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


def keep_all_paths(network: nn.Module) -> None:
    """Switch stochastic depth off, in training mode too: a teacher's answers are not to be drawn by lot."""
    for module in network.modules():
        if isinstance(getattr(module, "drop_prob", None), float):  # timm's DropPath
            module.drop_prob = 0.0  # type: ignore[assignment]


@torch.no_grad()
def update_momentum(target: nn.Module, online: nn.Module, *, momentum: float) -> None:
    """Move the parameters: target <- momentum * target + (1 - momentum) * online, all tensors in one call.

    Buffers (batch-norm statistics) are left alone: the target collects its own.
    """
    torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 1.0 - momentum)
