"""The headline table as text for a paper, a README or a page: a line a metric, a column an encoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from repdiag.report.comparison import Cell, ComparisonTable
from repdiag.report.headline_csv import headline_rows
from repdiag.results.headlines import ARROWS, CONTEXT, Headline

Format = Literal["latex", "markdown", "csv", "html"]

_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
_LATEX |= {letter: f"\\{letter}" for letter in "&%$#_{}"} | {"<": "$<$", ">": "$>$", "|": r"\textbar{}"}
_LATEX |= {"\N{UPWARDS ARROW}": r"$\uparrow$", "\N{DOWNWARDS ARROW}": r"$\downarrow$"}
_LATEX |= {"\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{EN DASH}": "--"}


@dataclass(frozen=True, kw_only=True)
class Typeset:
    """What is typeset: the table, what it is of, and what a reader must know beside the numbers."""

    table: ComparisonTable
    caption: str
    notes: Sequence[str] = ()
    intervals: bool = True


def typeset(found: Typeset, to: Format) -> str:
    """Return the table in one format; every format says what its marks mean."""
    if to == "csv":
        from repdiag.core.csv_text import csv_text

        return csv_text(headline_rows(found.table))
    return {"latex": _latex, "markdown": _markdown, "html": _html}[to](found)


def _latex(found: Typeset) -> str:
    lines = found.table.lines
    marks = {"best": lambda text: rf"\textbf{{{text}}}", "alike": lambda text: rf"\underline{{{text}}}"}

    def cell(shown: Cell) -> str:
        text = _escaped(shown.text)
        interval = rf" {{\scriptsize {_escaped(shown.interval)}}}" if found.intervals and shown.interval else ""
        return marks.get(shown.mark, str)(text) + interval

    marked = _meaning(found.table, best="bold", alike="underlined")
    caption = " ".join([found.caption, *marked, *found.notes])
    body = [" & ".join([_escaped(_label(headline)), *map(cell, row)]) + r" \\" for headline, row in _rows(found.table)]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_escaped(caption)}}}",
            rf"  \begin{{tabular}}{{l{'r' * len(lines)}}}",
            r"    \toprule",
            "    " + " & ".join(["", *(_escaped(line.name) for line in lines)]) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _markdown(found: Typeset) -> str:
    lines = found.table.lines
    marks = {"best": lambda text: f"**{text}**", "alike": lambda text: f"{text} \N{ALMOST EQUAL TO}"}

    def cell(shown: Cell) -> str:
        interval = f" {shown.interval}" if found.intervals and shown.interval else ""
        return marks.get(shown.mark, str)(shown.text) + interval

    rows = [["", *(_piped(line.name) for line in lines)]]
    rows += [[_label(headline), *map(cell, row)] for headline, row in _rows(found.table)]
    shown = ["| " + " | ".join(row) + " |" for row in rows]
    shown.insert(1, "|---|" + "---:|" * len(lines))
    marked = _meaning(found.table, best="bold", alike="\N{ALMOST EQUAL TO}")
    said = [found.caption, *marked, *found.notes]
    return "\n".join([*shown, "", " ".join(_piped(text) for text in said), ""])


def _html(found: Typeset) -> str:
    lines = found.table.lines
    marks: dict[str, Callable[[str], str]] = {
        "best": lambda text: f"<strong>{text}</strong>",
        "alike": lambda text: f"<u>{text}</u>",
    }

    def cell(shown: Cell) -> str:
        interval = f" <small>{escape(shown.interval)}</small>" if found.intervals and shown.interval else ""
        return f"<td>{marks.get(shown.mark, str)(escape(shown.text))}{interval}</td>"

    marked = _meaning(found.table, best="bold", alike="underlined")
    head = "".join(f'<th scope="col">{escape(line.name)}</th>' for line in lines)
    body = [
        f'<tr><th scope="row">{escape(_label(headline))}</th>' + "".join(map(cell, row)) + "</tr>"
        for headline, row in _rows(found.table)
    ]
    caption = escape(" ".join([found.caption, *marked, *found.notes]))
    parts = ["<table>", f"<caption>{caption}</caption>", f"<thead><tr><td></td>{head}</tr></thead>"]
    return "\n".join([*parts, "<tbody>", *body, "</tbody>", "</table>", ""])


def _rows(table: ComparisonTable) -> list[tuple[Headline, list[Cell]]]:
    return [(headline, [line.cells[at] for line in table.lines]) for at, headline in enumerate(table.headlines)]


def _label(headline: Headline) -> str:
    return f"{headline.label} {ARROWS.get(headline.metric, '')}".strip()


def _meaning(table: ComparisonTable, *, best: str, alike: str) -> list[str]:
    """Return what the marks that occur mean, and that rows without an arrow are context."""
    marks = {cell.mark for line in table.lines for cell in line.cells}
    said = [f"{best[0].upper()}{best[1:]}: best, told apart from all others."] if "best" in marks else []
    said += [f"{alike[0].upper()}{alike[1:]}: shares the lead."] if "alike" in marks else []
    if len(table.lines) > 1 and any(headline.metric in CONTEXT for headline in table.headlines):
        said.append("Rows without an arrow move with width, method and collapse too: no value of them is better.")
    return said


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in " ".join(text.split()))


def _piped(text: str) -> str:
    """Return text that stays in its cell of a Markdown table, and is no markup."""
    kept = " ".join(text.split()).replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\|`*" else letter for letter in kept)
