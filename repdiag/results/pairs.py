"""Paired tests of a stored comparison: groups of checkpoints that nothing tells apart, and classes that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.csv_text import plain_cells
from repdiag.core.errors import StoreError

if TYPE_CHECKING:
    import pandas as pd

Together = frozenset[str]


@dataclass(frozen=True, kw_only=True)
class StoredPairs:
    """The tables that a comparison left; empty ones where it left none."""

    tests: pd.DataFrame
    classes: pd.DataFrame

    def tested(self, metric: str) -> pd.DataFrame:
        """Return the tests of one metric."""
        return self.tests[self.tests["metric"] == metric] if len(self.tests) else self.tests

    def letters(self, metric: str, names: Sequence[str]) -> Mapping[str, str]:
        """Return the letters of each checkpoint: two that share a letter are not told apart.

        The groups are the largest sets within which no pair differs; a comes first in the order of `names`. Empty
        where the metric was not tested for all of them.
        """
        rows = self.tested(metric)
        pairs = {frozenset((one, two)): bool(apart) for one, two, apart in rows[["first", "second", "differs"]].values}
        wanted = [frozenset((one, two)) for at, one in enumerate(names) for two in names[at + 1 :]]
        if not wanted or any(pair not in pairs for pair in wanted):
            return {}
        alike = {
            name: {other for other in names if other != name and not pairs[frozenset((name, other))]} for name in names
        }
        groups = sorted(_cliques(set(), set(names), set(), alike), key=lambda group: sorted(map(names.index, group)))
        marks = "abcdefghijklmnopqrstuvwxyz"
        return {
            name: "".join(marks[at % len(marks)] for at, group in enumerate(groups) if name in group) for name in names
        }


def read_pairs(folder: Path) -> StoredPairs:
    """Read paired_tests.csv and class_changes.csv of a comparison."""
    from repdiag.diagnosis.checkpoint_pairs import CLASS_COLUMNS, COLUMNS

    return StoredPairs(
        tests=_read(folder / "paired_tests.csv", COLUMNS), classes=_read(folder / "class_changes.csv", CLASS_COLUMNS)
    )


def _cliques(
    group: set[str], candidates: set[str], excluded: set[str], alike: Mapping[str, set[str]]
) -> Iterator[Together]:
    """Yield the maximal cliques (Bron & Kerbosch 1973); checkpoints are few."""
    if not candidates and not excluded:
        yield frozenset(group)
    for name in sorted(candidates):
        yield from _cliques(group | {name}, candidates & alike[name], excluded & alike[name], alike)
        candidates = candidates - {name}
        excluded = excluded | {name}


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        return pd.DataFrame(columns=list(columns))
    try:
        found = pd.read_csv(path, dtype={"first": str, "second": str, "class_name": str}, keep_default_na=False)
        return plain_cells(found[list(columns)])
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"cannot read {path}", found=str(error)) from error
