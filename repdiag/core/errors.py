"""The error family: what was wrong, what was found, what to do next.

Example:
    >>> import repdiag
    >>> try:
    ...     repdiag.evaluate([[1.0, 0.0]], ["unifromity"])
    ... except repdiag.errors.RepdiagError as error:
    ...     print(error.hint)
    did you mean: uniformity, uniformity_subsampled
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from repdiag.core.printable import on_screen, printable
from repdiag.core.signals import STOPPED


class RepdiagError(Exception):
    """Base of every error that repdiag raises on purpose.

    `problem` says in one line what was wrong, `found` what was there instead, `hint` what to do next. The
    command line prints exactly these, without a traceback, and exits with `exit_code`. Quoted text may come from an
    untrusted file, so control characters appear as escapes, and all three fit one screen of 4 kB.
    """

    exit_code = 1

    def __init__(self, problem: str, *, found: str | None = None, hint: str | None = None) -> None:
        self.problem = on_screen(printable(problem, lines=False), most_bytes=600, most_lines=1)
        self.found = found and on_screen(found, most_bytes=2300, most_lines=26)
        self.hint = hint and on_screen(hint, most_bytes=800, most_lines=8)
        lines = [self.problem]
        if self.found:
            lines.append(f"  found: {self.found}")
        if self.hint:
            lines.append(f"  try:   {self.hint}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        """Keep the parts apart on the way from one process to another."""
        return _again, (type(self), self.problem, self.found, self.hint)


def _again(kind: type[RepdiagError], problem: str, found: str | None, hint: str | None) -> RepdiagError:
    error = kind.__new__(kind)
    RepdiagError.__init__(error, problem, found=found, hint=hint)
    return error


class UsageError(RepdiagError):
    """A name, option or value that does not exist; exit code 2."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting that does not exist or has a value outside its range."""


class DataError(RepdiagError):
    """A dataset that is missing, empty or damaged."""


class CheckpointError(RepdiagError):
    """A checkpoint that cannot be read, is not safe to read, or does not fit the backbone."""


class MetricError(RepdiagError):
    """A metric whose needs are not met by the embeddings it was given."""


class StoreError(RepdiagError):
    """A stored result that is damaged, or that could not be written."""


class TrainingError(RepdiagError):
    """A training run that cannot continue; names its last good checkpoint."""


class StoppedError(RepdiagError):
    """A stop by Ctrl-C or SIGTERM before the end; finished work is kept."""

    exit_code = STOPPED


class DependencyError(RepdiagError):
    """A required optional package that is not installed."""


def unknown_name(kind: str, name: str, choices: Iterable[str], *, hint: str | None = None) -> UsageError:
    """Return the error for a name that is not among `choices`, with the nearest ones as the hint."""
    options = sorted(choices)
    near = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    shown = ", ".join(near or options[:12]) + (", ..." if not near and len(options) > 12 else "")
    lead = "did you mean" if near else "known"
    return UsageError(f"unknown {kind} {name!r}", hint=f"{lead}: {shown}" + (f"; {hint}" if hint else ""))
