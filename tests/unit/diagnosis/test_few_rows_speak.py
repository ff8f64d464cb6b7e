"""What a few rows cannot say is left open: one row that makes the spectrum, and spaces of a handful of rows."""

from __future__ import annotations

import numpy as np

import repdiag


def test_one_long_row_of_a_thousand_does_not_make_a_collapse() -> None:
    rows = np.random.default_rng(0).normal(size=(1000, 32))
    assert repdiag.diagnose(rows).collapse.verdict == "not collapsed"
    rows[7] *= 1000.0
    found = repdiag.diagnose(rows).collapse
    assert found.verdict == "inconclusive"
    assert "1 of 1,000 rows holds" in found.summary
    flat = np.random.default_rng(0).normal(size=(1000, 2)) @ np.random.default_rng(1).normal(size=(2, 32))
    assert repdiag.diagnose(flat).collapse.verdict == "collapsed"


def test_two_rows_are_no_sound_space() -> None:
    found = repdiag.diagnose(np.eye(3)[:2]).collapse
    assert found.verdict == "inconclusive"
    assert "2 rows are too few" in found.summary
