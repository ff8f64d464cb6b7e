"""How a command that failed ends: one screen on stderr, with `--json` one object on stdout, and an exit code."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import cast

import typer

from repdiag.core.errors import RepdiagError, StoppedError
from repdiag.core.signals import stop_reason, stop_sentence

# The parser's own errors. typer brings its parser along or imports it, by version; the family is the same in both.
Misuse = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The same for every command and every kind of error; absent parts are None."""

    kind: str
    problem: str
    found: str | None = None
    hint: str | None = None
    exit_code: int = 1

    def to_json(self) -> str:
        """Return what `--json` prints in place of a result."""
        return json.dumps({"error": asdict(self)}, indent=2)


def failure_of(error: BaseException) -> Failure:
    """Say what an error means to a user; one that nobody expected is named by its type."""
    if isinstance(error, RepdiagError):
        kind = type(error).__name__
        return Failure(kind=kind, problem=error.problem, found=error.found, hint=error.hint, exit_code=error.exit_code)
    if isinstance(error, Misuse):
        return Failure(kind="UsageError", problem=error.format_message(), exit_code=error.exit_code)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Failure(
            kind=StoppedError.__name__, problem=f"stopped by {stop_reason()}", exit_code=StoppedError.exit_code
        )
    if _is_name(error):
        assert isinstance(error, UnicodeEncodeError)
        return Failure(
            kind="DataError",
            problem="the name of a file or a folder is not UTF-8 text",
            found=ascii(error.object[:200]),
            hint="rename it",
        )
    if isinstance(error, OSError):  # no permission, a full disk, a name that is too long
        where = str(error.filename)[:200] if error.filename else "a file or a device"
        return Failure(kind="OSError", problem=f"{where} cannot be used", found=error.strerror or str(error)[:200])
    return Failure(
        kind=type(error).__name__,
        problem="an error that repdiag did not expect",
        found=str(error)[:500],
        hint="please report it with the traceback",
    )


def is_expected(error: BaseException) -> bool:
    """Say whether an error has a cause that the user can know; others need their traceback."""
    return isinstance(error, RepdiagError | Misuse | KeyboardInterrupt | typer.Abort | OSError) or _is_name(error)


def show(error: BaseException) -> None:
    """Print an error for people, on stderr, without a traceback."""
    if isinstance(error, Misuse):
        error.show()
        return
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        typer.echo(stop_sentence(), err=True)
        return
    failure = failure_of(error)
    typer.secho("error: ", fg="red", bold=True, nl=False, err=True)
    typer.echo(str(RepdiagError(failure.problem, found=failure.found, hint=failure.hint)), err=True)


def _is_name(error: BaseException) -> bool:
    """Say whether text could not be encoded because it is a file's name in another encoding."""
    return isinstance(error, UnicodeEncodeError) and any("\ud800" <= sign <= "\udfff" for sign in str(error.object))
