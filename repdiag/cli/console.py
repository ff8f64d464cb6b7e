"""What commands print: JSON on stdout when asked, people's text otherwise, progress and warnings on stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from repdiag.core.errors import UsageError
from repdiag.core.metric_table import plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.table import Table


@dataclass(frozen=True)
class Console:
    """Where a command's words go: `--json` keeps stdout for JSON alone, `--quiet` keeps quiet."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        level = logging.ERROR if self.quiet else logging.INFO if self.verbose else logging.WARNING
        logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr, force=True)

    def say(self, text: str = "") -> None:
        """Print a line for people; with --json it goes to stderr."""
        if not self.quiet:
            typer.echo(text, err=self.as_json)

    def table(self, table: Table) -> None:
        """Print a rich table for people."""
        if self.quiet:
            return
        from rich.console import Console as RichConsole

        width = None if sys.stdout.isatty() else 120
        RichConsole(stderr=self.as_json, width=width, highlight=False).print(table)

    def json(self, value: Any) -> None:
        """Print the result as JSON when it was asked for."""
        if self.as_json:
            typer.echo(json.dumps(value, indent=2, allow_nan=False, default=plain))

    @contextmanager
    def counting(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Give a `(done, total)` callback that shows rate and time left: a live line on a terminal, else rare lines."""
        line = _CountLine(what, live=sys.stderr.isatty(), enabled=self.progress and not self.quiet)
        try:
            yield line.update
        finally:
            line.close()


class _CountLine:
    """One line of progress on stderr."""

    def __init__(self, what: str, *, live: bool, enabled: bool) -> None:
        self.what, self.live, self.enabled = what, live, enabled
        self.started = self.shown = time.monotonic()
        self.wrote = False

    def update(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self.enabled or now - self.shown < (0.2 if self.live else 15.0):
            return
        self.shown, self.wrote = now, True
        rate = done / max(now - self.started, 1e-9)
        left = (total - done) / rate if rate else 0.0
        text = f"{self.what}: {done:,} of {total:,}, {rate:,.0f}/s, {left:,.0f} s left"
        sys.stderr.write(f"\r\x1b[K{text}" if self.live else f"{text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        if self.live and self.wrote:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def resolve_device(name: str) -> str:
    """Return the torch device for `auto`, `cpu`, `cuda` or `cuda:N`; an absent one is an error, never a fallback."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cpu" and not index:
        return name
    if kind != "cuda" or (index and not index.isdigit()):
        raise UsageError(f"unknown device {name!r}", hint="one of: auto, cpu, cuda, cuda:N")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) >= count:
        raise UsageError(f"no device {name}", found=f"{count} CUDA devices", hint="use --device cpu or auto")
    return name
