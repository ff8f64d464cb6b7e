"""The headline metrics of a table as the lines of a small table of text: one row a metric, one column an encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from repdiag.core.numbers import show_interval, show_value
from repdiag.results.headlines import HEADLINES, Headline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from repdiag.core.metric_table import MetricRow, MetricTable

# Beside the headlines of the report, which are read on val.
_ON_TRAIN = "instance_discrimination_accuracy"
_MORE = (Headline(metric="contrast_accuracy", label="Contrast accuracy", direction="higher", percent=True),)
_BETTER = {"zero": "near 0", "one": "near 1", "context": ""}


_PERCENT = {headline.metric for headline in (*HEADLINES, *_MORE) if headline.percent}


def headline_lines(
    table: MetricTable, columns: Sequence[tuple[str, str, str]], *, intervals: bool
) -> Iterator[tuple[str, ...]]:
    """Yield label, better direction and one cell a column, for each headline that a column has.

    A column is (its title, a checkpoint's name, a space).
    """
    for headline, split in _lines():
        rows = [
            _first(table.where(checkpoint=name, space=space, metric=headline.metric, split=split, **headline.params))
            for _, name, space in columns
        ]
        if any(row is not None for row in rows):
            label = f"{headline.label}, train" if split == "train" else headline.label
            better = _BETTER.get(headline.direction, headline.direction)
            yield label, better, *(_cell(row, intervals=intervals) for row in rows)


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
    interval = shown_interval(row) if intervals else ""
    return f"{shown_value(row)} [dim]{interval}[/dim]" if interval else shown_value(row)


def shown_value(row: MetricRow) -> str:
    """Return a value as text, or why there is none."""
    return f"n/a ({row.reason})" if row.value is None else _format(row.metric, row.value)


def shown_interval(row: MetricRow) -> str:
    """Return an interval as text, safe within markup."""
    shown = show_interval(row.ci_low, row.ci_high, percent=row.metric in _PERCENT)
    return shown.replace("[", "\\[")  # an opening bracket would be markup


def _format(metric: str, value: float) -> str:
    return show_value(value, percent=metric in _PERCENT)
