"""Forest plots of the page: one panel a metric, encoders sorted, intervals drawn, untrained copies as the reference."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repdiag.report.comparison import Cell, ComparisonTable, Line
from repdiag.results.headlines import CONTEXT, Headline

if TYPE_CHECKING:
    from repdiag.results.pairs import StoredPairs

COLOURS = 7  # classes of the style sheet: series-0 to series-6, as in the figures
_MARGIN = 0.08  # of the span, on either side
_INSIDE = (4.0, 93.0)  # where a tick has room for its text, in percent


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One encoder in a panel: places in percent of the width, None where the value is missing."""

    name: str
    trained: bool
    series: int
    text: str
    interval: str
    mark: str
    at: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class Forest:
    """One panel. `message` says what it shows, `ticks` are places and texts, `target` where the best value
    lies."""

    metric: str
    label: str
    better: str
    message: str
    context: bool
    dots: tuple[Dot, ...]
    ticks: tuple[tuple[float, str], ...]
    target: float | None = None


def forests(table: ComparisonTable, pairs: StoredPairs | None = None) -> tuple[Forest, ...]:
    """Return a panel for every metric of the table; those that only give context come last."""
    trained = [line.name for line in table.lines if line.trained]
    series = {name: at % COLOURS for at, name in enumerate(trained)}
    found = [
        _forest(headline, [(line, line.cells[at]) for line in table.lines], series, pairs)
        for at, headline in enumerate(table.headlines)
    ]
    return tuple(sorted(found, key=lambda panel: panel.context))


def said_test(headline: Headline, pair: tuple[str, str], pairs: StoredPairs, *, only_apart: bool = False) -> str:
    """Return by what the first is above the second by a paired test; empty for a pair without one.

    `only_apart` also leaves out a test that does not tell the two apart.
    """
    for row in pairs.tested(headline.metric).to_dict(orient="records"):
        if {row["first"], row["second"]} == set(pair) and (bool(row["differs"]) or not only_apart):
            sign = 1.0 if row["first"] == pair[0] else -1.0
            return _said_difference({str(k): v for k, v in row.items()}, percent=headline.percent, sign=sign)
    return ""


def _said_difference(row: Mapping[str, Any], *, percent: bool, sign: float) -> str:
    """Return the difference of a paired test with its interval, shares in points; `sign` -1 turns it round."""
    low, high = sorted(sign * float(row[name]) for name in ("ci_low", "ci_high"))
    if percent:
        return f"{100 * sign * row['difference']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{sign * row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"


def _forest(
    headline: Headline, cells: Sequence[tuple[Line, Cell]], series: Mapping[str, int], pairs: StoredPairs | None
) -> Forest:
    ends = [end for _, cell in cells for end in _ends(cell)]
    target = {"zero": 0.0, "one": 1.0}.get(headline.direction)
    scale = _Scale.around(
        [*ends, *([] if target is None else [target])], share=headline.percent and min(ends, default=0.0) >= 0
    )
    context = headline.metric in CONTEXT
    falling = sorted(cells, key=lambda pair: _order(headline, pair[1]))
    return Forest(
        metric=headline.metric,
        label=headline.label,
        better="context" if context else headline.direction,
        message=_message(headline, falling, pairs, context=context),
        context=context,
        dots=tuple(_dot(line, cell, scale, series.get(line.name, -1)) for line, cell in falling),
        ticks=tuple(
            (scale.place(tick), _tick(tick, headline))
            for tick in scale.ticks()
            if _INSIDE[0] <= scale.place(tick) <= _INSIDE[1]
        ),
        target=None if target is None else scale.place(target),
    )


def _dot(line: Line, cell: Cell, scale: _Scale, series: int) -> Dot:
    shown: dict[str, Any] = {"name": line.name, "trained": line.trained, "series": series, "mark": cell.mark}
    if cell.row is None or cell.row.value is None:
        return Dot(**shown, text=cell.text, interval=cell.note)
    low, high = cell.row.ci_low, cell.row.ci_high
    return Dot(
        **shown,
        text=cell.text,
        interval=cell.interval,
        at=scale.place(cell.row.value),
        low=None if low is None or high is None else scale.place(low),
        high=None if low is None or high is None else scale.place(high),
    )


def _message(
    headline: Headline, cells: Sequence[tuple[Line, Cell]], pairs: StoredPairs | None, *, context: bool
) -> str:
    """Return what the panel shows, in one clause."""
    trained = [(line, cell) for line, cell in cells if line.trained and cell.sort]
    if context or not trained:
        return ""
    (first, cell), *others = trained
    if not others:
        copy = next((found for line, found in cells if not line.trained and found.sort), None)
        return f"{cell.text}, untrained {copy.text}" if copy else cell.text
    if cell.mark == "best":
        second = others[0][0]
        test = "" if pairs is None else said_test(headline, (first.name, second.name), pairs)
        by = f" by {test}" if test else f": {cell.text} against {others[0][1].text}"
        return f"{first.name} leads {second.name}{by}"
    tied = [line.name for line, found in trained if found.mark == "alike"] or [line.name for line, _ in trained]
    return f"statistically tied: {', '.join(tied)}" if len(tied) < 4 else f"{len(tied)} encoders are statistically tied"


def _order(headline: Headline, cell: Cell) -> float:
    """Return what sorts the better first; without a value last."""
    if cell.row is None or cell.row.value is None:
        return math.inf
    value = cell.row.value
    if headline.direction in ("zero", "one"):
        return abs(value - (headline.direction == "one"))
    return value if headline.direction == "lower" else -value


def _ends(cell: Cell) -> list[float]:
    if cell.row is None or cell.row.value is None:
        return []
    return [end for end in (cell.row.value, cell.row.ci_low, cell.row.ci_high) if end is not None]


def _tick(value: float, headline: Headline) -> str:
    if not headline.percent:
        return f"{value:.4g}"
    return f"{100 * value:.3g}" + (" pt" if headline.points else " %")


@dataclass(frozen=True)
class _Scale:
    """A linear axis from one value to another."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float], *, share: bool) -> _Scale:
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        room = _MARGIN * (high - low) or 0.5 * abs(high) or 1.0
        if share:  # of what cannot be below 0 or above 1
            return cls(max(0.0, low - room), min(1.0, high + room))
        return cls(low - room, high + room)

    def place(self, value: float) -> float:
        return round(100 * (value - self.low) / (self.high - self.low), 2)

    def ticks(self) -> list[float]:
        """Return two to four round values."""
        rough = (self.high - self.low) / 3
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * times for times in (1, 2, 2.5, 5, 10) if unit * times >= rough)
        first = math.ceil(self.low / step)
        return [round(at * step, 12) + 0.0 for at in range(first, math.floor(self.high / step) + 1)]
