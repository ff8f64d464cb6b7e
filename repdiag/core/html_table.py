"""A small HTML table for notebooks: follows the page's colours, holds no script, escapes everything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_STYLE = "border-collapse:collapse;color:inherit;background:transparent;font-size:90%"
_CELL = "padding:2px 10px 2px 0;text-align:left;vertical-align:top;border:0"


def html_table(heading: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", below: str = "") -> str:
    """Return the rows under a heading, with a sentence above and one below."""
    head = "".join(f'<th style="{_CELL};font-weight:600">{escape(cell)}</th>' for cell in heading)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    top = f'<div style="margin:.3em 0"><strong>{escape(title)}</strong></div>' if title else ""
    end = f'<div style="margin:.3em 0;opacity:.75">{escape(below)}</div>' if below else ""
    return f'<div>{top}<table style="{_STYLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{end}</div>'


def text_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return the rows in columns of plain text."""
    lines = [list(heading), *(list(row) for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(heading))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
