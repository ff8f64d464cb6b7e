"""Standard output and error as they may be: closed, full, or unable to show a character."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from repdiag.core.errors import StoreError


def prepare(*, needed: bool) -> None:
    """Make the standard streams usable: a closed one swallows what it gets, an odd character is shown as its code.

    A file that is opened later must not get the number of a closed stream, or what is printed would go into it. Raises
    `StoreError` where standard output is closed and the result is to be printed.
    """
    closed = [number for number in (0, 1, 2) if not _is_open(number)]
    for _ in closed:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stdout is None:
        sys.stdout = _empty(1)
    if sys.stderr is None:
        sys.stderr = _empty(2)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    if 1 in closed and needed:
        raise StoreError("standard output is closed, and --json prints to it", hint="redirect it to a file")


def say(text: str) -> bool:
    """Print to standard output; False where that is not possible."""
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def finish() -> None:
    """Bring out what is still in standard output; raises `StoreError` where it cannot be written."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up()
        raise StoreError("standard output could not be written", found=error.strerror) from error


def give_up() -> None:
    """Let standard output swallow what is left, so that the interpreter's last flush cannot fail."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _empty(number: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", errors="backslashreplace")
