"""What commands print: JSON on stdout when asked, people's text otherwise, progress and warnings on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from repdiag.core.errors import UsageError
from repdiag.core.metric_table import plain
from repdiag.core.printable import printable
from repdiag.workflows.speaking import CountLine

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from repdiag.core.progress import Tick


@dataclass(frozen=True)
class Console:
    """Where a command's words go: `--json` keeps stdout for JSON alone, `--quiet` keeps quiet."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        level = logging.ERROR if self.quiet else logging.INFO if self.verbose else logging.WARNING
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_PrintableFormatter("%(levelname)s: %(message)s"))
        logging.basicConfig(level=level, handlers=[handler], force=True)

    def say(self, text: str = "") -> None:
        """Print a line for people; with --json it goes to stderr. What a file wrote into it acts on no terminal."""
        if not self.quiet:
            typer.echo(printable(text), err=self.as_json)

    def say_place(self, place: Path, *, told: bool, more: str = "") -> None:
        """Print where the results are, the last line but what to do next; `told` where --out has named the place."""
        words = [*([more] if more else []), *([] if told else ["--out names another place"])]
        self.say(f"results: {place}" + (f" ({'; '.join(words)})" if words else ""))

    def table(self, table: Table) -> None:
        """Print a rich table for people."""
        if self.quiet:
            return
        from rich.console import Console as RichConsole
        from rich.segment import Segment, Segments

        width = None if sys.stdout.isatty() else 120
        screen = RichConsole(stderr=self.as_json, width=width, highlight=False)
        drawn = (Segment(printable(part.text), part.style, part.control) for part in screen.render(table))
        screen.print(Segments(drawn), end="")

    def json(self, value: Any) -> None:
        """Print the result as JSON when it was asked for."""
        if self.as_json:
            typer.echo(json.dumps(value, indent=2, allow_nan=False, default=plain))

    @contextmanager
    def counting(self, what: str) -> Iterator[Tick]:
        """Give a `(done, total)` callback that shows rate and time left: a live line on a terminal, else rare lines."""
        with closing(CountLine(what, live=sys.stderr.isatty(), enabled=self.progress and not self.quiet)) as line:
            yield line.update


class _PrintableFormatter(logging.Formatter):
    """Log lines in which nothing that a file wrote acts on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


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
