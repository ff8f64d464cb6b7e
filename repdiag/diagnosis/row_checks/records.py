"""What the checks of rows hand over: rows to look at, notes about the whole space, and the limits that decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.files import write_atomic

if TYPE_CHECKING:
    import pandas as pd

NEAR_COPY, LEAK, LABEL, OUTLIER, HUB, ANTIHUB = (
    "near-copy",
    "near-copy across train and val",
    "label issue",
    "outlier",
    "hub",
    "antihub",
)
COLUMNS = ("row_id", "split", "what", "why", "neighbour", "value")
FILE = "rows_to_check.csv"


@dataclass(frozen=True, kw_only=True)
class RowLimits:
    """Where a row or a space stops being ordinary, as healthy encoders show it (docs/calibration.md)."""

    copy_ratio: float = 1.0 / 6.0
    """Distance to the nearest row over that to the tenth, below which the nearest is a copy."""

    copy_distance: float = 0.1
    """The same distance over the usual one to a tenth neighbour: what is far from everything is no copy."""

    label_votes: float = 0.8
    """Share of the 20 nearest rows that have one other label."""

    label_own: float = 0.1
    """Share of them that may still have the row's own."""

    outlier: float = 3.0
    """Robust standard deviations of the log distance to the ten nearest."""

    hub: float = 6.0
    """Times as often among the ten nearest of others as a row is on average."""

    antihubs: float = 0.15
    """Share of rows that are nobody's neighbour."""

    norm_spread: float = 0.5
    """Standard deviation of the norms over their mean."""

    dimension_share: float = 0.25
    """Share of the squared length of unit rows in one of at least eight dimensions."""

    concentration: float = 0.8
    """Distance to the nearest row over that to any: at 1 'nearest' means nothing."""


@dataclass(frozen=True, kw_only=True)
class RowToCheck:
    """One row: which, what may be wrong with it, why, the row beside it, and the number that decided."""

    row_id: Any
    split: str
    what: str
    why: str
    neighbour: Any = None
    value: float


@dataclass(frozen=True, kw_only=True)
class SpaceNote:
    """One property of the whole space; `look` where it is beyond what ordinary encoders show."""

    what: str
    sentence: str
    value: float
    limit: float | None
    look: bool
    advice: str = ""


@dataclass(frozen=True, kw_only=True)
class RowChecks:
    """All that was found; `left_out` says which checks could not be made, and why."""

    rows: tuple[RowToCheck, ...]
    notes: tuple[SpaceNote, ...]
    counted: int
    left_out: Mapping[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows there are to look at, by what."""
        return dict(Counter(row.what for row in self.rows))

    @property
    def summary(self) -> str:
        """Return one sentence: how many rows to look at, and the notes that ask for a look."""
        said = [f"{count} {what}" for what, count in self.counts.items()]
        found = (
            f"Of {self.counted} rows these deserve a look: {', '.join(said)}." if said else "No row deserves a look."
        )
        return " ".join([found, *(note.sentence for note in self.notes if note.look)])

    def to_frame(self) -> pd.DataFrame:
        """Return the rows as a frame with the columns row_id, split, what, why, neighbour, value."""
        import pandas as pd

        records = [[getattr(row, name) for name in COLUMNS] for row in self.rows]
        return pd.DataFrame.from_records(records, columns=list(COLUMNS))

    def write(self, folder: Path) -> Path:
        """Write `rows_to_check.csv` into the folder, all or nothing; return its path."""
        text = self.to_frame().to_csv(index=False)
        return write_atomic(folder / FILE, lambda stream: stream.write(text.encode("utf-8")))
