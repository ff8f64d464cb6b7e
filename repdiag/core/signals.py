"""Ctrl-C and SIGTERM: how they end a command, and how they wait while files change places."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPED = 130  # the exit code that shells give to what Ctrl-C ended
_AGAIN = 1.0  # seconds after which an interrupt that a library swallowed is raised again
_ALARM = getattr(signal, "SIGALRM", None)  # which Windows does not have
_ALL: tuple[signal.Signals, ...] = SIGNALS if _ALARM is None else (*SIGNALS, _ALARM)


_asked: list[str] = []


class Interrupt(KeyboardInterrupt):
    """Ctrl-C or SIGTERM; its text is the signal's name."""


def interrupt_on_signals() -> None:
    """Let both signals raise `Interrupt` in the main thread, again and again until `forget_interrupts`.

    Python drops an exception that is raised within a finaliser or a callback of a library; a command that was told to
    stop must stop all the same.
    """
    if threading.current_thread() is not threading.main_thread():
        return

    def receive(number: int, frame: FrameType | None) -> None:
        del frame
        if number != _ALARM:
            _asked.append("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)
        _ring(_AGAIN)
        raise Interrupt(_asked[0])

    for number in _ALL:
        signal.signal(number, receive)


def stop_reason() -> str:
    """Return what asked the command to stop: "SIGTERM", or "Ctrl-C", which is also the default."""
    return _asked[0] if _asked else "Ctrl-C"


def stop_sentence() -> str:
    """Return what a command says that was stopped and has nothing more to say."""
    return f"stopped by {stop_reason()}: finished results are kept, and nothing is half-written"


def forget_interrupts() -> None:
    """Raise no more: the command ends, and what is left to do is to say so."""
    if threading.current_thread() is threading.main_thread():
        _ring(0.0)
        for number in _ALL:
            signal.signal(number, signal.SIG_IGN)


@contextmanager
def held_signals() -> Iterator[None]:
    """Keep both signals waiting for a moment that must not be cut in two; they act when it is over."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread, and cannot interrupt this one
        return
    waiting: list[int] = []
    before: dict[int, Any] = {number: signal.signal(number, lambda got, _: waiting.append(got)) for number in _ALL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        for number in waiting:
            signal.raise_signal(number)


def _ring(seconds: float) -> None:
    if _ALARM is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
