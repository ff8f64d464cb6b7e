"""What a workflow says while it works: nothing, a line of progress, or what a command's console prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from repdiag.core.printable import one_line
from repdiag.core.progress import Amount, Tick


@runtime_checkable
class Speaker(Protocol):
    """Takes sentences for people and counts what is done."""

    @property
    def progress(self) -> bool:
        """Whether progress is shown."""

    @property
    def quiet(self) -> bool:
        """Whether only failures are said."""

    def say(self, text: str = "") -> None:
        """Take one line for people."""

    def counting(self, what: str) -> AbstractContextManager[Tick]:
        """Give a callback (done, total) for one stage of the work."""


@dataclass
class PlainSpeaker:
    """For notebooks and scripts: says nothing; shows progress on stderr where it is wanted."""

    progress: bool = False
    quiet: bool = True

    def say(self, text: str = "") -> None:
        """Keep quiet: the result says it all."""

    @contextmanager
    def counting(self, what: str) -> Iterator[Tick]:
        """Give a callback that shows rate and time left."""
        line = CountLine(what, live=sys.stderr.isatty(), enabled=self.progress)
        try:
            yield line.update
        finally:
            line.close()


def speaker(*, progress: bool) -> Speaker:
    """Return the speaker of a call from Python."""
    return PlainSpeaker(progress=progress)


class CountLine:
    """One line of progress on stderr: what is worked on, how far it is, and the time that is left at this pace."""

    def __init__(self, what: str, *, live: bool, enabled: bool) -> None:
        self.what, self.live, self.enabled = what, live, enabled
        self.started = self.shown = time.monotonic()
        self.wrote = False

    def update(self, done: Amount, total: Amount) -> None:
        """Show how far it is, at most five times a second; whole numbers are counts, others shares of the work."""
        now = time.monotonic()
        if not self.enabled or now - self.shown < (0.2 if self.live else 10.0):
            return
        self.shown, self.wrote = now, True
        text = progress_text(self.what, done, total, seconds=now - self.started)
        sys.stderr.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self.live and self.wrote:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def progress_text(what: str, done: Amount, total: Amount, *, seconds: float) -> str:
    """Return the line of a stage that has taken some seconds.

    Example:
        >>> progress_text("clusterings", 0.25, 1.0, seconds=30.0)
        'clusterings: 25 %, 90 s left'
    """
    rate = done / max(seconds, 1e-9)
    left = (total - done) / rate if rate else None
    counts = isinstance(done, int) and isinstance(total, int)
    far = (
        f"{done:,} of {total:,}, {rate:,.0f}/s" if counts and rate >= 1.0 else f"{100 * done / max(total, 1e-9):.0f} %"
    )
    return f"{one_line(what)}: {far}, {'time left unknown' if left is None else f'{show_seconds(left)} left'}"


def show_seconds(seconds: float) -> str:
    """Return a length of time as people say it.

    Example:
        >>> show_seconds(95.0), show_seconds(400.0)
        ('95 s', '7 min')
    """
    return f"{seconds:,.0f} s" if seconds < 120.0 else f"{seconds / 60.0:,.0f} min"
