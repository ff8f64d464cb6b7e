"""How tables become CSV: text that a spreadsheet would run as a formula begins with an apostrophe.

Names of classes, files and checkpoints come from strangers, and spreadsheets run a cell that begins with `=`, `+`,
`-` or `@`. The apostrophe is what spreadsheets themselves mark text with; `plain_cells` takes it away on reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_STARTS = ("=", "+", "-", "@", "\t", "\r")
_MARK = "'"


def csv_text(frame: pd.DataFrame) -> str:
    """Return a table as CSV, without its index, in which no cell and no column's name is a formula."""
    return _changed(frame, _marked).to_csv(index=False, lineterminator="\n")


def plain_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table that was read from such a CSV as it was before it was written."""
    return _changed(frame, _unmarked)


def _changed(frame: pd.DataFrame, change: Any) -> pd.DataFrame:
    text = [at for at, kind in enumerate(frame.dtypes) if not _is_number(kind)]
    changed = frame.copy(deep=False)
    changed.columns = [change(name) for name in frame.columns]
    for at in text:
        column = frame.iloc[:, at]
        if any(change(value) is not value for value in column):
            changed.isetitem(at, [change(value) for value in column])
    return changed


def _is_number(kind: Any) -> bool:
    return getattr(kind, "kind", "O") in "biufc"


def _marked(value: Any) -> Any:
    if not isinstance(value, str) or not value.lstrip(_MARK).startswith(_STARTS) or _is_numeral(value):
        return value
    return _MARK + value


def _unmarked(value: Any) -> Any:
    marked = isinstance(value, str) and value.startswith(_MARK) and value.lstrip(_MARK).startswith(_STARTS)
    return value[1:] if marked else value


def _is_numeral(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
