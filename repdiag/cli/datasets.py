"""`repdiag datasets`: what can be named with --data, what is here, how to get the rest."""

from __future__ import annotations

from repdiag.cli import options
from repdiag.cli.console import Console


def datasets(as_json: options.Json = False) -> None:
    """List the datasets, which ones are present, and how to get the others."""
    from dataclasses import asdict

    from rich.table import Table

    from repdiag.data.datasets import list_datasets

    console = Console(as_json=as_json)
    found = list_datasets()
    names = ("name", "here", "classes", "train", "val", "measure", "where / how to get it")
    table = Table(*names, title="Datasets for --data")
    for info in found:
        here = {True: "yes", False: "no", None: "named by path"}[info.present]
        where = str(info.where) if info.where is not None else info.how_to_get
        sizes = (f"{count:,}" if count else "" for count in (info.train, info.val))
        table.add_row(info.name, here, str(info.classes or "any"), *sizes, info.measure or "", where)
    console.table(table)
    console.json([{key: _plain(value) for key, value in asdict(info).items()} for info in found])


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, bool | int | float | str | list | tuple | dict) else str(value)
