"""Typical values of metrics: what they were for encoders whose quality is known, read from typical_values.csv.

`python -m benchmarks.typical_values` writes the table; its first line says with what and when. All encoders are
measured on images they were not trained on, of ten classes.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from repdiag.core.numbers import show_value
from repdiag.results.headlines import HEADLINES

TABLE = Path(__file__).with_name("typical_values.csv")
COLUMNS = ("encoder", "data", "rows", "dimensions", "metric", "version", "settings", "value")
# Shares that are no headline: in percent, as everywhere.
_SHARES = frozenset(("best_nn", "contrast_accuracy", "linear_probe_accuracy", "map_at_r", "precision_at_1"))
_RANKS = frozenset(("rankme", "effective_rank", "participation_ratio", "stable_rank", "lidar", "nesum"))


def _read() -> tuple[str, list[dict[str, str]]]:
    head, *lines = TABLE.read_text("utf-8").splitlines()
    return head.removeprefix("# "), list(csv.DictReader(lines))


def _shown(row: Mapping[str, str]) -> str:
    value, metric = float(row["value"]), row["metric"]
    headline = next((headline for headline in HEADLINES if headline.metric == metric), None)
    if headline:
        text = headline.show(value)
    elif metric == "label_gap":
        text = f"{100 * value:+.1f} points"
    else:
        text = show_value(value, percent=metric in _SHARES)
    return f"{text} of {row['dimensions']}" if metric in _RANKS else text


def _by_metric(rows: list[dict[str, str]]) -> Mapping[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for row in rows:
        found[row["metric"]] = (*found.get(row["metric"], ()), (row["encoder"], _shown(row)))
    return found


TYPICAL_MADE_BY, _ROWS = _read()
TYPICAL = _by_metric(_ROWS)
ENCODERS = tuple(dict.fromkeys((row["encoder"], row["data"]) for row in _ROWS))
