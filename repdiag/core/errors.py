"""The error family: what was wrong, what was found, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RepdiagError(Exception):
    """Base of every error that repdiag raises on purpose.

    `problem` says in one line what was wrong, `found` what was there instead, `hint` what to do next. The
    command line prints exactly these, without a traceback, and exits with `exit_code`.
    """

    exit_code = 1

    def __init__(self, problem: str, *, found: str | None = None, hint: str | None = None) -> None:
        self.problem, self.found, self.hint = problem, found, hint
        lines = [problem]
        if found:
            lines.append(f"  found: {found}")
        if hint:
            lines.append(f"  try:   {hint}")
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
    """A training run that cannot go on, with its last good checkpoint named."""


class StoppedError(RepdiagError):
    """A stop that was asked for, by Ctrl-C or SIGTERM, before the end; what was done until then is kept."""

    exit_code = 130  # what shells give to what Ctrl-C ended


class DependencyError(RepdiagError):
    """An optional package that the request needs and that is not installed."""


def unknown_name(kind: str, name: str, choices: Iterable[str], *, hint: str | None = None) -> UsageError:
    """Return the error for a name that is not among `choices`, with the nearest ones as the hint."""
    options = sorted(choices)
    near = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    shown = ", ".join(near or options[:12]) + (", ..." if not near and len(options) > 12 else "")
    lead = "did you mean" if near else "known"
    return UsageError(f"unknown {kind} {name!r}", hint=f"{lead}: {shown}" + (f"; {hint}" if hint else ""))
