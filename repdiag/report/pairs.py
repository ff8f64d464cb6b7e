"""Paired tests and changed classes as the page shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from repdiag.core.numbers import show_p, show_value
from repdiag.results.pairs import StoredPairs

if TYPE_CHECKING:
    import pandas as pd

_CHANGES_SHOWN = 400


def test_lines(pairs: StoredPairs) -> list[dict[str, Any]]:
    """Return every test as the report shows it."""
    return [
        {
            **row,
            "difference": f"{row['difference']:+.3f}",
            "interval": f"[{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]",
            "p": show_p(row["p_holm"]),
            "said": "differ" if row["differs"] else "indistinguishable",
        }
        for row in _records(pairs.tests)
    ]


def change_lines(pairs: StoredPairs) -> tuple[list[dict[str, Any]], int]:
    """Return the classes that changed, largest changes first, and how many tests there were."""
    if pairs.classes.empty:
        return [], 0
    changed = pairs.classes[pairs.classes["differs"]]
    order = changed["difference"].abs().sort_values(ascending=False).index
    lines = [
        {
            **row,
            "shown": [show_value(row[name], percent=True) for name in ("first_value", "second_value")],
            "difference": f"{100 * row['difference']:+.1f}",
            "p": show_p(row["p_holm"]),
        }
        for row in _records(changed.loc[order].head(_CHANGES_SHOWN))
    ]
    return lines, len(pairs.classes)


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict(orient="records")]
