"""Analyses and comparisons as a notebook shows them: the answer first, then the few numbers behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from repdiag.core.html_table import html_table, text_table
from repdiag.core.numbers import show_interval, show_value

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.comparison import Comparison

_CHECKPOINTS_SHOWN = 12


def analysis_text(analysis: Analysis) -> str:
    """Return an analysis in at most some thirty lines."""
    rows, dims = analysis.size
    title = f"{analysis.name}: {rows} rows x {dims} dimensions"
    table = text_table(("metric", "value", "95 % interval"), _headline_cells(analysis.headline()))
    return "\n".join([title, repr(analysis.diagnosis), "", table, *_notes(analysis.notes)])


def analysis_html(analysis: Analysis) -> str:
    """Return an analysis as HTML for a notebook."""
    found = analysis.diagnosis._repr_html_()
    cells = _headline_cells(analysis.headline())
    return found + html_table(("metric", "value", "95 % interval"), cells, below=" ".join(_notes(analysis.notes)))


def comparison_text(comparison: Comparison) -> str:
    """Return a comparison in at most some thirty lines."""
    answers = text_table(*_answers(comparison))
    return "\n".join([answers, "", _side_by_side(comparison, text_table), *_notes(comparison.notes)])


def comparison_html(comparison: Comparison) -> str:
    """Return a comparison as HTML for a notebook."""
    notes = " ".join(_notes(comparison.notes))
    return html_table(*_answers(comparison), below=notes) + _side_by_side(comparison, html_table)


def _answers(comparison: Comparison) -> tuple[Sequence[str], list[Sequence[str]]]:
    found = comparison.diagnoses
    rows: list[Sequence[str]] = [
        (name, *(finding.verdict for _, finding in diagnosis)) for name, diagnosis in found.items()
    ]
    rows += [(name, "left out", reason.splitlines()[0][:60], "") for name, reason in comparison.failures.items()]
    return ("checkpoint", "over-clustering", "overfitting", "collapse"), rows[:_CHECKPOINTS_SHOWN]


def _side_by_side(comparison: Comparison, draw: Callable[..., str]) -> str:
    names = comparison.table.checkpoints("trained", "reference")[:_CHECKPOINTS_SHOWN]
    from repdiag.results.frames.headline import headline_frame

    columns = {name: headline_frame(comparison.table.where(checkpoint=name)) for name in names}
    labels = list(dict.fromkeys(label for frame in columns.values() for label in frame["label"]))
    cells = [(label, *(_cell(frame, label) for frame in columns.values())) for label in labels]
    return draw(("metric", *names), cells)


def _cell(frame: pd.DataFrame, label: str) -> str:
    found = frame[frame["label"] == label]
    return _headline_cells(found)[0][1] if len(found) else ""


def _headline_cells(frame: pd.DataFrame) -> list[tuple[str, str, str]]:
    import pandas as pd

    def number(value: Any) -> float | None:
        return None if pd.isna(value) else float(value)

    return [
        (
            str(row["label"]),
            "n/a" if number(row["value"]) is None else show_value(float(row["value"]), percent=bool(row["percent"])),
            show_interval(number(row["ci_low"]), number(row["ci_high"]), percent=bool(row["percent"])),
        )
        for row in frame.to_dict(orient="records")
    ]


def _notes(notes: Sequence[str]) -> list[str]:
    return [f"note: {note}" for note in notes]
