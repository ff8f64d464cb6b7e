"""Collects rows over the processes of a distributed run; alone, it changes nothing."""

from __future__ import annotations

import torch
import torch.distributed as dist

from repdiag.core.shapes import Float, Tensor


def world_size() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


@torch.no_grad()
def gather_rows(rows: Float[Tensor, "B ..."]) -> Float[Tensor, "W ..."]:
    """Return the rows of all processes in rank order, without gradients."""
    if world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def own_rows(rows: Tensor) -> Tensor:
    """Return this process's part of rows that all processes hold, in rank order."""
    if world_size() == 1:
        return rows
    return rows.chunk(world_size())[dist.get_rank()]


def from_first(values: Tensor) -> Tensor:
    """Return the first process's `values`."""
    if world_size() > 1:
        dist.broadcast(values, src=0)
    return values


def gather_with_gradient(rows: Float[Tensor, "B P"]) -> Float[Tensor, "W P"]:
    """Return the rows of all processes in rank order; gradients flow to this process's own rows.

    Each process differentiates the loss of the whole batch with respect to its part, and averaging over processes
    then divides by their number; multiplying the gradient by that number gives the whole batch's gradient.
    """
    count = world_size()
    if count == 1:
        return rows
    parts = list(gather_rows(rows.detach()).chunk(count))
    # The value is that of `rows`, the gradient `count` times as large.
    parts[dist.get_rank()] = rows * count - (rows * (count - 1)).detach()
    return torch.cat(parts)
