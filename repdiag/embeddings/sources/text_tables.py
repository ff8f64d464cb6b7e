"""Text files: tables with or without a heading, the projector's tab-separated pair, word vectors, one label a line."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repdiag.core.errors import DataError
from repdiag.embeddings.sources.arrow_tables import of_table
from repdiag.embeddings.sources.column_names import GROUP_NAMES, LABEL_NAMES, ROW_NAMES
from repdiag.embeddings.sources.contents import Column, Contents, of_array
from repdiag.embeddings.sources.counted_dimensions import is_few, whole_columns

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_KINDS = (".csv", ".tsv")
LINE_KINDS = (".txt", ".vec")
# Identities and classes stay text: 007 is no number, and NA no missing one.
AS_TEXT = frozenset((*ROW_NAMES, *LABEL_NAMES, *GROUP_NAMES)) - {"x"}
_PEEK = 64 * 1024


def open_text_table(path: Path) -> Contents:
    """Return the columns of a CSV or TSV file; those of one without a heading are called 1, 2, ..."""
    import pyarrow as pa
    import pyarrow.csv as pc

    head = _head(path)
    delimiter = _delimiter(path, head)
    rows = [row for row in csv.reader(head.splitlines(), delimiter=delimiter) if row]
    if not rows:
        raise DataError(f"{path.name} is empty")
    heading = has_heading(rows)
    names = [cell.strip() for cell in rows[0]] if heading else [str(n + 1) for n in range(len(rows[0]))]
    _expect_unique(path, names)
    odd: list[pc.InvalidRow] = []
    convert = pc.ConvertOptions(
        column_types={name: pa.string() for name in names if name.lower() in AS_TEXT},
        strings_can_be_null=False,
        decimal_point="," if delimiter == ";" and "," in head else ".",
    )

    def note_odd(row: pc.InvalidRow) -> str:
        odd.append(row)
        return "skip"

    parse = pc.ParseOptions(delimiter=delimiter, invalid_row_handler=note_odd, newlines_in_values=True)
    read = pc.ReadOptions(column_names=names, skip_rows=int(heading), use_threads=False)
    table = pc.read_csv(path, read_options=read, parse_options=parse, convert_options=convert)
    if odd:
        found = f"{len(odd)}, the first is line {odd[0].number - int(heading)}: {odd[0].text[:60]!r}"
        raise DataError(f"{path.name} has lines whose number of cells differs from {len(names)}", found=found)
    if not heading and len(names) > 1 and all(_is_number(field.type) for field in table.schema):
        return _one_matrix(path, table)
    return of_table(path.name, table)


def _one_matrix(path: Path, table: pa.Table) -> Contents:
    """Return a table of numbers without a heading as one array: what np.savetxt and the projector write.

    Among columns with fractions, one of few whole numbers is no dimension but a label or a number of the row: it gets
    a name of its own.
    """
    values = np.stack([column.to_numpy() for column in table.columns], axis=1)
    names = _of_columns(values)
    if names is not None:
        return of_table(path.name, table.rename_columns(names))
    return Contents(name=path.name, columns=(of_array("features", values),))


def _of_columns(values: Any) -> list[str] | None:
    """Return names for the columns of a matrix that has one or two beside its dimensions; None where all are alike."""
    beside = {
        place
        for place, different in whole_columns(values).items()
        if is_few(different, rows=len(values)) or bool((np.diff(values[:, place]) == 1).all())  # numbers of its rows
    }
    if not 0 < len(beside) <= 2 or len(beside) == values.shape[1]:
        return None
    return [f"{'column ' if place in beside else 'd'}{place + 1}" for place in range(values.shape[1])]


def _is_number(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _expect_unique(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"{path.name} has duplicate column names", found=", ".join(twice[:5]), hint="rename or drop one"
        )


def has_heading(rows: list[list[str]]) -> bool:
    """Say whether the first of some rows names the columns."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    lower = [cell.lower() for cell in first]
    if AS_TEXT & set(lower) or (len(first) > 1 and "" in first and not _all_numbers(first[1:])):
        return True
    numbers = [cell for cell in first if cell]
    if _all_numbers(numbers):
        # A frame's own column names: 0, 1, 2, ... over rows that are no whole numbers.
        counted = [str(n) for n in range(len(numbers))] == numbers and len(numbers) > 1
        return counted and any("." in cell for row in rest[:5] for cell in row)
    if not rest:
        return False
    under = [_all_numbers([below]) or below.strip()[:1] == "[" for below in rest[0]]
    if any(is_number and not _all_numbers([cell]) for cell, is_number in zip(first, under, strict=False)):
        return True
    if len(first) == 1:
        return False
    # All text: a name of a column does not come again among its values.
    columns = list(zip(*(row for row in rest if len(row) == len(first)), strict=True))
    return not any(cell in (value.strip() for value in values) for cell, values in zip(first, columns, strict=False))


def _all_numbers(cells: list[str]) -> bool:
    try:
        [float(cell) for cell in cells]
    except ValueError:
        return False
    return bool(cells)


def _head(path: Path) -> str:
    """Return the first lines of a text file; raises `DataError` where it is no UTF-8."""
    with path.open("rb") as stream:
        start = stream.read(_PEEK)
        whole = len(start) < _PEEK
    lines = start if whole else start[: start.rfind(b"\n") + 1] or start
    try:
        return lines.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text", found=str(error)) from error


def _delimiter(path: Path, head: str) -> str:
    """Return what separates cells: spreadsheets write semicolons where a comma is the decimal point."""
    first = head.partition("\n")[0]
    if path.suffix.lower() == ".tsv" or ("\t" in first and "," not in first):
        return "\t"
    return ";" if first.count(";") > first.count(",") else ","


def open_lines(path: Path) -> Contents:
    """Return a text file of rows: numbers by blanks, word vectors (a word, then its numbers), or one label a line."""
    lines = _lines(path)
    if not lines:
        raise DataError(f"{path.name} is empty")
    first = lines[0].split()
    counted = len(first) == 2 and all(cell.isdecimal() for cell in first) and int(first[0]) == len(lines) - 1
    rows = lines[1:] if counted and len(lines) > 1 and len(lines[1].split()) > 2 else lines
    cells = rows[0].split()
    if len(cells) > 1 and _all_numbers(cells) and len(rows) > 1:
        return _lines_of_numbers(path, _matrix(path, [row.split() for row in rows]))
    if len(cells) > 2 and _all_numbers(cells[1:]):
        split = [row.split() for row in rows]
        words = np.asarray([row[0] for row in split])
        vectors = of_array("features", _matrix(path, [row[1:] for row in split]))
        return Contents(name=path.name, columns=(of_array("key", words), vectors))
    named = _named_labels(lines)
    if named is not None:
        return Contents(name=path.name, columns=named)
    labels = lines if len(lines) != 1 else lines[0].replace(",", " ").split()
    return Contents(name=path.name, columns=(of_array("labels", np.asarray(labels)),))


def _lines_of_numbers(path: Path, values: Any) -> Contents:
    import pyarrow as pa

    names = _of_columns(values)
    if names is None:
        return Contents(name=path.name, columns=(of_array("features", values),))
    # Arrow keeps whole numbers apart from fractions, so that labels are labels.
    whole = [
        column.astype(np.int64) if name.startswith("column") else column
        for name, column in zip(names, values.T, strict=True)
    ]
    return of_table(path.name, pa.table([pa.array(column) for column in whole], names=names))


def _named_labels(lines: list[str]) -> tuple[Column, ...] | None:
    """Return names of rows and their labels where each line is "a/b.jpg cat"; None for lines that are labels."""
    parts = [line.replace(",", " ").split(None, 1) for line in lines]
    if any(len(part) != 2 for part in parts):
        return None
    names, labels = [part[0] for part in parts], [part[1].strip() for part in parts]
    are_names = all("." in name or "/" in name or name.isdecimal() for name in names)
    if not are_names or len(set(names)) < len(names) or len(set(labels)) == len(labels):
        return None
    return (of_array("path", np.asarray(names)), of_array("label", np.asarray(labels, dtype=object)))


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text", found=str(error)) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _matrix(path: Path, rows: list[list[str]]) -> Any:
    odd = next((n for n, row in enumerate(rows) if len(row) != len(rows[0])), None)
    if odd is not None:
        found = f"{len(rows[odd])} in row {odd}, {len(rows[0])} in the first"
        raise DataError(f"the rows of {path.name} are not of one length", found=found)
    try:
        return np.asarray(rows, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"{path.name} contains text that is not a number", found=str(error)[:120]) from error
