"""`--fail-on`: a judgement as a gate for continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from repdiag.core.errors import unknown_name

if TYPE_CHECKING:
    from repdiag.diagnosis.verdict import Diagnosis

EXIT_GATE = 3
_BAD = {
    "over-clustering": ("over_clustering", "over-clustered"),
    "overfitting": ("overfitting", "overfitting"),
    "collapse": ("collapse", "collapsed"),
}


def parse_gates(text: str | None) -> tuple[str, ...]:
    """Return the named gates; an unknown one gets the nearest name."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in _BAD:
            raise unknown_name("gate", name, _BAD)
    return names


def check_gates(diagnosis: Diagnosis, gates: tuple[str, ...]) -> None:
    """Exit with code 3 when a gate does not hold."""
    failed = [gate for gate in gates if getattr(diagnosis, _BAD[gate][0]).verdict == _BAD[gate][1]]
    if failed:
        typer.echo(f"gate: {', '.join(failed)} found", err=True)
        raise typer.Exit(EXIT_GATE)
