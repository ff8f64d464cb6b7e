"""Progress of named stages: who works deep inside says how far it is, who listens shows it.

Work is counted in pieces, or weighed where pieces differ in cost, so that the time left is that of the work left. A
stage within a stage moves on the outer one: people see one line, with the name of what they wait for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
Amount = int | float
Tick = Callable[[Amount, Amount], None]
"""Takes (done, of how much): whole numbers are counts of things, other numbers are shares of the work."""
Counting = Callable[[str], AbstractContextManager[Tick]]
"""Opens the line of a stage by its name."""


@dataclass(eq=False)
class _Stage:
    """The stage that is shown: what is done, the step in progress, and how much that is."""

    show: Tick
    done: float = 0.0
    total: float = 1.0
    step: float = 0.0
    furthest: float = 0.0

    def within_step(self, done: Amount, total: Amount) -> None:
        """Move on by a part of the step in progress; never back, whatever comes after within the same step."""
        if self.step > 0.0 and total > 0.0:
            here = self.done + self.step * min(1.0, done / total)
            self.furthest = max(self.furthest, here)
            self.show(float(self.furthest), float(self.total))


_LISTENER: ContextVar[Counting | None] = ContextVar("repdiag_progress_listener", default=None)
_STAGE: ContextVar[_Stage | None] = ContextVar("repdiag_progress_stage", default=None)


@contextmanager
def listening(counting: Counting | None) -> Iterator[None]:
    """Show the stages of the block by `counting`; None leaves whoever listens already."""
    if counting is None:
        yield
        return
    token = _LISTENER.set(counting)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@contextmanager
def stage(what: str) -> Iterator[Tick]:
    """Give a callback (done, total) for one stage of the work, named for people: "clusterings", "intervals".

    Example:
        >>> with stage("tiles") as tick:
        ...     tick(1, 2)
    """
    outer, listener = _STAGE.get(), _LISTENER.get()
    if outer is not None:
        yield outer.within_step
        return
    if listener is None:
        yield _nobody
        return
    with listener(what) as show:
        yield show


def counted(what: str, items: Sequence[T], *, weights: Sequence[Amount] | None = None) -> Iterator[T]:
    """Yield the items of one stage; `weights` say how much work each is, where they differ.

    What a caller does with an item may be a stage itself, which then moves this one on.

    Example:
        >>> list(counted("clusterings", [2, 4, 8], weights=[2.0, 4.0, 8.0]))
        [2, 4, 8]
    """
    steps = [1.0] * len(items) if weights is None else [float(weight) for weight in weights]
    with stage(what) as tick:
        now = _Stage(tick, total=math.fsum(steps))
        for number, (item, step) in enumerate(zip(items, steps, strict=True)):
            now.step = step
            token = _STAGE.set(now)
            try:
                yield item
            finally:
                _STAGE.reset(token)
            now.done += step
            now.furthest = max(now.furthest, now.done)
            if weights is None:
                tick(number + 1, len(items))
            else:
                tick(float(now.done), float(now.total))


def _nobody(_done: Amount, _total: Amount) -> None:
    """Show nothing."""
