"""`repdiag metrics list` and `repdiag metrics show NAME`: the cards of the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from repdiag.cli import options
from repdiag.cli.console import Console

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List the metrics, or show one metric's card.")


@app.command("list")
def list_metrics(as_json: options.Json = False) -> None:
    """List every metric: family, direction, version, first line of its card."""
    from rich.table import Table

    from repdiag.metrics.registry import load_all

    console = Console(as_json=as_json)
    table = Table("metric", "family", "better", "version", "what it is")
    records = []
    for name, metric in load_all().items():
        first = (metric.function.__doc__ or "").strip().splitlines()[0]
        table.add_row(name, metric.family, metric.direction, str(metric.version), first)
        known = {"name": name, "family": metric.family, "version": metric.version, "better": metric.direction}
        records.append({**known, "summary": first})
    console.table(table)
    console.json(records)


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A metric's name.")], as_json: options.Json = False) -> None:
    """Show one metric's card: formula, range, conventions, limits, reference."""
    from repdiag.metrics.card import card_of
    from repdiag.metrics.registry import get

    metric, card = get(name), card_of(name)
    allowed = card["allowed"]
    console = Console(as_json=as_json)
    console.say(f"{metric.name}  (version {metric.version}, better: {metric.direction})\n")
    console.say(str(card["card"]))
    console.say(f"\nneeds:    {', '.join(metric.needs)}")
    said = [f"{key}={value!r} ({allowed.get(key, 'anything')})" for key, value in metric.settings.items()]
    if metric.comparable == "one method":
        console.say(
            "compare:  only within one training method; between methods a difference says nothing about quality"
        )
    console.say(f"settings: {f'{chr(10)}          '.join(said) or 'none'}")
    console.json(card)
