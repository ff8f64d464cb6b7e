"""What a workflow says while it works: nothing, a line of progress, or what a command's console prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from repdiag.core.printable import one_line


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

    def counting(self, what: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """Give a callback (done, total) for one stage of the work."""


@dataclass
class PlainSpeaker:
    """For notebooks and scripts: says nothing; shows progress on stderr where it is wanted."""

    progress: bool = False
    quiet: bool = True

    def say(self, text: str = "") -> None:
        """Keep quiet: the result says it all."""

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
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
    """One line of progress on stderr."""

    def __init__(self, what: str, *, live: bool, enabled: bool) -> None:
        self.what, self.live, self.enabled = what, live, enabled
        self.started = self.shown = time.monotonic()
        self.wrote = False

    def update(self, done: int, total: int) -> None:
        """Show how far it is, at most five times a second."""
        now = time.monotonic()
        if not self.enabled or now - self.shown < (0.2 if self.live else 15.0):
            return
        self.shown, self.wrote = now, True
        rate = done / max(now - self.started, 1e-9)
        left = (total - done) / rate if rate else 0.0
        text = f"{one_line(self.what)}: {done:,} of {total:,}, {rate:,.0f}/s, {left:,.0f} s left"
        sys.stderr.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """Take the line away."""
        if self.live and self.wrote:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
