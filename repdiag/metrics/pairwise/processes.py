"""Several processes that share every pass: the tiles are dealt out in turn, and what was found in them is joined.

All processes hold the same rows (mapped once a machine, or one copy a GPU) and make the same calls in the same order;
only running results travel. Each process ends with the result of all pairs, and symmetric tiles still serve twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from repdiag.core.distributed.agreement import all_agree
from repdiag.core.errors import MetricError
from repdiag.core.progress import counted
from repdiag.metrics.pairwise.sharing import apart

T = TypeVar("T")

_DEALT: ContextVar[bool] = ContextVar("repdiag_pairwise_processes", default=False)


@contextmanager
def over_processes() -> Iterator[None]:
    """Deal the tiles of every pass in the block over the processes of the default group of torch.distributed."""
    if not dist.is_available() or not dist.is_initialized():
        raise MetricError(
            "there is no group of processes to share the work",
            hint="start with torchrun and call torch.distributed.init_process_group first",
        )
    token = _DEALT.set(True)
    try:
        yield
    finally:
        _DEALT.reset(token)


def shared() -> bool:
    """Say whether passes are shared with other processes."""
    return _DEALT.get() and dist.get_world_size() > 1


def is_mine(number: int) -> bool:
    """Say whether this process computes the tile of that number."""
    return not shared() or number % dist.get_world_size() == dist.get_rank()


def dealt(work: Callable[[int], T], count: int, *, what: str) -> list[T]:
    """Return work(0), ..., work(count - 1): each process does some of them by itself, and all end with all.

    A `MetricError` of one process is raised in every one. `what` names the stage for people.
    """
    if not shared():
        return [work(number) for number in counted(what, range(count))]
    own = range(dist.get_rank(), count, dist.get_world_size())
    done: dict[int, T] = {}
    failed: MetricError | None = None
    token = _DEALT.set(False)
    try:
        with apart():
            for number in counted(what, own):
                done[number] = work(number)
    except MetricError as error:
        failed = error
    finally:
        _DEALT.reset(token)
    parts: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(parts, (done, failed))
    for _, why in parts:
        if why is not None:
            raise why
    everything: dict[int, T] = {number: item for found, _ in parts for number, item in found.items()}
    return [everything[number] for number in range(count)]


def everywhere(fine: bool) -> bool:
    """Say whether all processes that share a pass are fine."""
    return all_agree(fine) if shared() else fine


def add_up(total: Tensor) -> None:
    """Add the totals of the other processes to this one's, in place."""
    if shared():
        dist.all_reduce(total)


def gathered(own: Tensor) -> list[Tensor]:
    """Return the tensors of all processes, by rank: the same list everywhere."""
    if not shared():
        return [own]
    parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, own.contiguous())
    return parts
