"""Items of a dataset made in worker processes, whose problems reach the caller as they would without workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from types import FrameType
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from repdiag.core.errors import DataError, RepdiagError

T = TypeVar("T")

_GRACE = 120  # seconds in which a run that was asked to stop finishes its step


def over_workers(dataset: Dataset[T], *, workers: int, pin_memory: bool = False) -> Iterator[T]:
    """Yield the items of `dataset` in order, made by `workers` processes, or by this one where there are none.

    Raises what the dataset raised, as one line; `DataError` when a worker was killed, most often for want of memory.
    """
    loader: DataLoader[T | RepdiagError] = DataLoader(
        _Guarded(dataset),
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_the_run,
        pin_memory=pin_memory,
        # A generator of its own: the loader would otherwise draw its workers' seed from the caller's random state.
        generator=torch.Generator().manual_seed(0),
    )
    items = iter(loader)
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise _worker_died(error, workers) from error
        if isinstance(item, RepdiagError):
            raise item
        yield item


def _leave_signals_to_the_run(_number: int, /) -> None:
    """Go on when a terminal or a scheduler signals all processes: the run needs its workers until it has stopped."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, frame: FrameType | None) -> None:
    """Let the alarm, which ends a process, be what a request to end does: a worker that hangs ends at last."""
    del number, frame
    signal.alarm(_GRACE)


class _Guarded(Dataset["T | RepdiagError"], Generic[T]):
    """Hands our own errors over as items: a loader would turn one into a text with the worker's traceback in it."""

    def __init__(self, dataset: Dataset[T]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]

    def __getitem__(self, item: int) -> T | RepdiagError:
        try:
            return self.dataset[item]
        except RepdiagError as error:
            return error


def _worker_died(error: RuntimeError, workers: int) -> DataError:
    return DataError(
        "a process that reads images died",
        found=str(error).splitlines()[0],
        hint=f"memory may have run out: fewer workers than {workers}, or none (data.workers=0)",
    )
