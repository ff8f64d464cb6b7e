"""Metric tables as a terminal shows them: the headline metrics side by side, or every row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.core.numbers import show_interval, show_value
from repdiag.results.headlines import CONTEXT, HEADLINES, Headline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    from rich.table import Table

    from repdiag.core.metric_table import MetricRow, MetricTable

# Beside the headlines of the report, which are read on val.
_ON_TRAIN = "instance_discrimination_accuracy"
_MORE = (Headline(metric="contrast_accuracy", label="Contrast accuracy", direction="higher", percent=True),)
_BETTER = {"zero": "near 0", "one": "near 1", "context": ""}


_KNOWN = {headline.metric: headline for headline in (*HEADLINES, *_MORE)}
_PERCENT = {headline.metric for headline in (*HEADLINES, *_MORE) if headline.percent}


def rows_table(table: MetricTable, *, title: str | None = None) -> Table:
    """Return every row of a table."""
    from rich.table import Table

    shown = Table("space", "metric", "settings", "value", "95 % interval", "n", title=title)
    for row in table:
        settings = ", ".join(f"{key}={value}" for key, value in sorted(row.params.items()))
        shown.add_row(row.space, row.metric, settings, _number(row), _interval(row), str(row.n))
    return shown


def headline_table(
    title: str, table: MetricTable, columns: Iterable[tuple[str, str, str]], *, intervals: bool = True
) -> Table:
    """Return the headline metrics of some columns: label, checkpoint, space."""
    from rich.table import Column, Table

    columns = list(columns)
    # Folded, not cut off: long names often differ at their ends alone.
    shown = Table("", "better", *(Column(label, overflow="fold") for label, _, _ in columns), title=title)
    for headline, split in _lines():
        rows = [
            _first(table.where(checkpoint=name, space=space, metric=headline.metric, split=split, **headline.params))
            for _, name, space in columns
        ]
        if any(row is not None for row in rows):
            label = f"{headline.label}, train" if split == "train" else headline.label
            better = "" if headline.metric in CONTEXT else _BETTER.get(headline.direction, headline.direction)
            shown.add_row(label, better, *(_cell(row, intervals=intervals) for row in rows))
    return shown


def deployment_table(frame: pd.DataFrame) -> Table:
    """Return what each encoder costs on this machine beside what it is worth; a dash where it was not measured."""
    from rich.table import Column, Table

    from repdiag.results.deployment_cells import deployment_cells, measured_how

    headings, lines = deployment_cells(frame)
    shown = Table(Column("", overflow="fold"), *headings, title=f"Deployment; {measured_how(frame)}")
    for name, cells in lines:
        shown.add_row(name, *cells)
    return shown


def _lines() -> Iterator[tuple[Headline, str]]:
    for headline in (*HEADLINES, *_MORE):
        if headline.metric == _ON_TRAIN:
            yield headline, "train"
        yield headline, "val"


def _first(found: MetricTable) -> MetricRow | None:
    """Return the row of the default setting; on the over-cluster curve that is one cluster a class, K = C."""
    curve = [row for row in found if row.extra.get("per_class_clusters") == 1]
    return next(iter(curve or found.rows), None)


def _cell(row: MetricRow | None, *, intervals: bool) -> str:
    if row is None:
        return ""
    interval = _interval(row) if intervals else ""
    return f"{_number(row)} [dim]{interval}[/dim]" if interval else _number(row)


def _number(row: MetricRow) -> str:
    return f"n/a ({row.reason})" if row.value is None else _format(row.metric, row.value)


def _interval(row: MetricRow) -> str:
    shown = show_interval(row.ci_low, row.ci_high, percent=row.metric in _PERCENT)
    return shown.replace("[", "\\[")  # an opening bracket would be markup


def _format(metric: str, value: float) -> str:
    headline = _KNOWN.get(metric)
    return show_value(value) if headline is None else headline.show(value)
