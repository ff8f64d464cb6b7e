"""`repdiag demo`: what a diagnosis looks like, on a made-up space with planted islands."""

from __future__ import annotations

from pathlib import Path

from repdiag.cli import options
from repdiag.cli.console import Console


def demo(out: options.Out = None, as_json: options.Json = False) -> None:
    """Find planted islands in a synthetic space: four classes, two of them split. Takes seconds, needs no data.

    Draws the split classes to --out (default: runs/demo).
    """
    from repdiag.results.finding_lines import finding_lines
    from repdiag.workflows.demo import PLANTED
    from repdiag.workflows.demo import demo as run

    console = Console(as_json=as_json)
    found, pictures = run(out or Path("runs") / "demo")
    console.say(f"demo: {found.summary}\n")
    for line in finding_lines(found.diagnosis):
        console.say(line)
    console.say(f"\nplanted: {', '.join(f'{name} in {pieces} islands' for name, pieces in PLANTED.items())}")
    console.say(f"picture: {pictures[0]}")
    console.say(
        "next:    repdiag train && repdiag analyze runs/*   (or your own: repdiag analyze CHECKPOINT --data DATA)"
    )
    console.json({"planted": PLANTED, "verdict": found.diagnosis.to_dict(), "picture": str(pictures[0])})
