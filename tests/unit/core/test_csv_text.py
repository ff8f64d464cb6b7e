"""Tables for spreadsheets: no cell is a formula, and what was written comes back as it was."""

from __future__ import annotations

from io import StringIO

import pandas as pd

from repdiag.core.csv_text import csv_text, plain_cells

NAMES = [
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "+1-1|x",
    "-2+3",
    "\tx",
    "'=a",
    "''-b",
    "it's",
    "cat",
    "-2",
    "-inf",
    "+",
    "",
]


def test_no_cell_begins_as_a_formula_and_all_come_back() -> None:
    frame = pd.DataFrame({"class_name": NAMES, "value": [-0.5 * at for at in range(len(NAMES))]})
    frame["=column"] = 1
    found = pd.read_csv(StringIO(csv_text(frame)), dtype={"class_name": str}, keep_default_na=False)
    for name in (*found["class_name"], *found.columns):
        assert not name.startswith(("=", "+", "-", "@", "\t", "\r")) or name in ("-2", "-inf")
    assert found["value"].tolist() == frame["value"].tolist()
    pd.testing.assert_frame_equal(plain_cells(found), frame)
    assert frame["class_name"].tolist() == NAMES


def test_a_table_without_such_names_is_written_as_before() -> None:
    frame = pd.DataFrame({"checkpoint": ["a", "b"], "value": [-1.5, None], "reason": [None, "x-y"]})
    assert csv_text(frame) == frame.to_csv(index=False, lineterminator="\n")
