"""How a run shows where it is: a bar on a terminal, plain lines elsewhere, nothing on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Protocol, TextIO, runtime_checkable

Values = Mapping[str, float]


@runtime_checkable
class Progress(Protocol):
    """What the loop tells its observer."""

    def start(self, *, step: int, total_steps: int, batch_size: int) -> None:
        """Begin at `step` steps done."""

    def update(self, *, step: int, epoch: int, values: Values) -> None:
        """Show the latest means; called at logging intervals."""

    def message(self, text: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Leave the terminal in order."""


class SilentProgress:
    """Shows nothing."""

    def start(self, *, step: int, total_steps: int, batch_size: int) -> None:
        """Ignore the start."""

    def update(self, *, step: int, epoch: int, values: Values) -> None:
        """Ignore the values."""

    def message(self, text: str) -> None:
        """Ignore the text."""

    def close(self) -> None:
        """Do nothing."""


class Messages(SilentProgress):
    """Prints the lines that stay, and no progress."""

    def message(self, text: str) -> None:
        """Print the line."""
        print(text, file=sys.stderr, flush=True)


class PlainProgress:
    """Prints a line every `seconds`, and at the end: for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, *, seconds: float = 10.0) -> None:
        self._stream = stream or sys.stderr
        self._seconds = seconds
        self._rate = _Rate()
        self._shown_at = 0.0

    def start(self, *, step: int, total_steps: int, batch_size: int) -> None:
        """Start the clock."""
        self._rate.start(step=step, total_steps=total_steps, batch_size=batch_size)
        self._shown_at = time.monotonic()

    def update(self, *, step: int, epoch: int, values: Values) -> None:
        """Print when it is time again."""
        self._rate.reach(step)
        now = time.monotonic()
        if now - self._shown_at < self._seconds and step < self._rate.total_steps:
            return
        self._shown_at = now
        self.message(f"epoch {epoch + 1}  step {step}/{self._rate.total_steps}  {_shown(values)}  {self._rate}")

    def message(self, text: str) -> None:
        """Print the line."""
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Do nothing."""


class RichProgress:
    """A live bar on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(TextColumn("{task.description}"), BarColumn(), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("starting", total=None)
        self._rate = _Rate()

    def start(self, *, step: int, total_steps: int, batch_size: int) -> None:
        """Open the bar."""
        self._rate.start(step=step, total_steps=total_steps, batch_size=batch_size)
        self._bar.update(self._task, total=total_steps, completed=step)
        self._bar.start()

    def update(self, *, step: int, epoch: int, values: Values) -> None:
        """Move the bar."""
        self._rate.reach(step)
        self._bar.update(self._task, completed=step, description=f"epoch {epoch + 1}  {_shown(values)}  {self._rate}")

    def message(self, text: str) -> None:
        """Print above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()


def make_progress(*, enabled: bool = True, quiet: bool = False) -> Progress:
    """Return the bar on a terminal, plain lines elsewhere; only what must be said when not `enabled`, or nothing."""
    if quiet:
        return SilentProgress()
    if not enabled:
        return Messages()
    return RichProgress() if sys.stderr.isatty() else PlainProgress()


class _Rate:
    """Images a second and time to go, since the start of this process."""

    def __init__(self) -> None:
        self.total_steps = 0

    def start(self, *, step: int, total_steps: int, batch_size: int) -> None:
        self._first = self._step = step
        self.total_steps, self._batch_size = total_steps, batch_size
        self._started = self._reached = time.monotonic()

    def reach(self, step: int) -> None:
        self._step, self._reached = step, time.monotonic()

    def __str__(self) -> str:
        elapsed = max(self._reached - self._started, 1e-9)
        steps_per_second = (self._step - self._first) / elapsed
        if steps_per_second <= 0:
            return ""
        left = int((self.total_steps - self._step) / steps_per_second)
        return f"{steps_per_second * self._batch_size:.0f} images/s  {left // 60}:{left % 60:02d} left"


def _shown(values: Values) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in values.items())
