"""Gates on the command line: each is said, and one that failed ends the command with 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from repdiag.workflows.gates import GateResult

EXIT_GATE = 3


def end_with(results: Iterable[GateResult]) -> None:
    """Say which gates failed or could not be decided on stderr; exit with code 3 when one failed."""
    found = list(results)
    for result in found:
        if result.state != "holds":
            typer.echo(f"gate {result.gate.text}: {result.state}: {result.checkpoint}: {result.sentence}", err=True)
    if any(result.state == "failed" for result in found):
        raise typer.Exit(EXIT_GATE)
