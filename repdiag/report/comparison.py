"""The comparison table of a report: checkpoints by headline metrics, with the best and what is not told from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from repdiag.core.metric_table import MetricRow, MetricTable, untrained_name
from repdiag.core.numbers import show_interval
from repdiag.results.frames.judged_split import judged_splits
from repdiag.results.frames.table_frames import headline_row
from repdiag.results.headlines import CONTEXT, HEADLINES, Headline
from repdiag.results.pairs import StoredPairs


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One value as shown, with its row; `sort` is the number behind it, empty where there is none.

    `mark` is "best" for the one that is told apart from all others, "alike" for those that share the lead. Cells that
    share one of their `letters` are not told apart by the paired tests.
    """

    text: str
    interval: str = ""
    sort: str = ""
    mark: str = ""
    letters: str = ""
    note: str = ""
    row: MetricRow | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One checkpoint."""

    name: str
    trained: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class ComparisonTable:
    """Headline metrics that any checkpoint has, one line a checkpoint."""

    headlines: tuple[Headline, ...]
    lines: tuple[Line, ...]


def comparison_table(
    table: MetricTable, pairs: StoredPairs | None = None, *, space: str = "features", split: str | None = None
) -> ComparisonTable:
    """Return the table of one space and split; without a split, of the one that is judged of each checkpoint.

    Where `pairs` tested a metric they say which checkpoints are alike; elsewhere overlapping intervals do, which is the
    coarser of the two.
    """
    names = list(table.checkpoints())
    copies = set(table.checkpoints("untrained"))
    judged = judged_splits(table)
    columns = []
    for headline in HEADLINES:
        rows = [
            headline_row(table, headline, checkpoint=name, space=space, split=split or judged[name]) for name in names
        ]
        if any(row is not None for row in rows):
            letters = _letters(headline, rows, names, pairs)
            columns.append((headline, rows, _marks(headline, rows, names, letters), letters))
    lines = [
        Line(
            name=name,
            trained=name not in copies,
            cells=tuple(
                replace(_cell(headline, rows[at], marks[at]), letters=letters.get(name, ""))
                for headline, rows, marks, letters in columns
            ),
        )
        for at, name in enumerate(names)
    ]
    return ComparisonTable(headlines=tuple(headline for headline, *_ in columns), lines=tuple(lines))


def best_sentence(found: ComparisonTable) -> str:
    """Return who has the highest kNN accuracy and who is tied with it; empty where it was not measured."""
    if not found.headlines or found.headlines[0].metric != "knn_accuracy":
        return ""
    first = {line.name: line.cells[0] for line in found.lines if line.trained and line.cells[0].sort}
    if len(first) == 1:
        ((name, cell),) = first.items()
        copy = next((line.cells[0].text for line in found.lines if line.name == untrained_name(name)), "")
        beside = f"; the untrained copy gets {copy}" if copy else ""
        return f"kNN accuracy is {cell.text} {cell.interval}{beside}."
    if not first:
        return ""
    best = max(first, key=lambda name: float(first[name].sort))
    marked = any(cell.mark for cell in first.values())
    alike = [name for name, cell in first.items() if name != best and (cell.mark == "alike" or not marked)]
    if alike:
        apart = f"statistically tied with {', '.join(alike)}"
    else:
        others = [f"{name}, {cell.text}" for name, cell in first.items() if name != best]
        tested = " by paired tests" if first[best].letters else ""
        apart = f"better{tested} than {others[0] if len(others) == 1 else 'all others'}"
    return f"Highest kNN accuracy: {best}, {first[best].text} {first[best].interval}; {apart}."


def _cell(headline: Headline, row: MetricRow | None, mark: str) -> Cell:
    if row is None:
        return Cell(text="\N{EN DASH}", note="not measured")
    if row.value is None:
        return Cell(text="n/a", note=row.reason or "", row=row)
    interval = show_interval(row.ci_low, row.ci_high, percent=headline.percent)
    note = f"n = {row.n:,}" + (f"; interval: {row.ci_method}" if interval and row.ci_method else "")
    return Cell(
        text=headline.show(row.value),
        interval=interval,
        sort=repr(row.value),
        mark=mark,
        note=note,
        row=row,
    )


def _scores(headline: Headline, rows: Sequence[MetricRow | None]) -> dict[int, float]:
    """Return the places of the trained checkpoints that have a value, with a number that is higher for the better."""
    return {
        at: _score(headline, row.value)
        for at, row in enumerate(rows)
        if row is not None and row.value is not None and row.role != "untrained"
    }


def _letters(
    headline: Headline, rows: Sequence[MetricRow | None], names: Sequence[str], pairs: StoredPairs | None
) -> Mapping[str, str]:
    if pairs is None or headline.metric in CONTEXT:
        return {}
    scores = _scores(headline, rows)
    return pairs.letters(headline.metric, [names[at] for at in sorted(scores, key=lambda at: -scores[at])])


def _marks(
    headline: Headline, rows: Sequence[MetricRow | None], names: Sequence[str], letters: Mapping[str, str]
) -> list[str]:
    """Mark the checkpoint that is told apart from all others, or else those that share the lead.

    Where nothing is told apart nothing is marked: a medal for noise says more than the numbers do.
    """
    scores = _scores(headline, rows)
    marks = [""] * len(rows)
    if len(scores) < 2 or headline.direction == "context" or headline.metric in CONTEXT:
        return marks
    best = max(scores, key=scores.__getitem__)
    tied = [best]
    for at in scores:
        shared = set(letters.get(names[at], "")) & set(letters.get(names[best], ""))
        if at != best and (bool(shared) if letters else _overlap(rows[at], rows[best])):
            tied.append(at)
    for at in tied if len(tied) < len(scores) else ():
        marks[at] = "best" if len(tied) == 1 else "alike"
    return marks


def _score(headline: Headline, value: float) -> float:
    """Return a number that is higher for the better value."""
    if headline.direction == "zero":
        return -abs(value)
    if headline.direction == "one":
        return -abs(value - 1.0)
    return -value if headline.direction == "lower" else value


def _overlap(first: MetricRow | None, second: MetricRow | None) -> bool:
    """Say whether two intervals meet; without an interval nothing says that two values differ."""
    if first is None or second is None:
        return True
    if first.ci_low is None or first.ci_high is None or second.ci_low is None or second.ci_high is None:
        return True
    return first.ci_low <= second.ci_high and second.ci_low <= first.ci_high
