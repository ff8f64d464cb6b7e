"""`repdiag doctor`: is everything here that the commands need?"""

from __future__ import annotations

import typer

from repdiag.cli import options
from repdiag.cli.console import Console


def doctor(as_json: options.Json = False) -> None:
    """Check packages, devices, memory, disk and folders; exit 1 if something needed is missing."""
    from repdiag.workflows.doctor import examine

    console = Console(as_json=as_json)
    found = examine()
    for name, problem in found["packages"].items():
        console.say(f"{'ok  ' if problem is None else 'FAIL'} {name}{'' if problem is None else f': {problem}'}")
    console.say(f"ok   devices: {', '.join(found['devices'])}; {found['cores']} cores")
    console.say(f"ok   cache: {found['cache']} ({found['cache_free_gb']} GB free); $REPDIAG_DATA: {found['data']}")
    console.json(found)
    if any(found["packages"].values()):
        raise typer.Exit(1)
