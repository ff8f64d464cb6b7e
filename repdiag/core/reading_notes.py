"""What was assumed, converted or left out when vectors were read: one record, said once on every output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ReadingNotes:
    """Sentences about the reading, what names the rows, and the names of rows that were left out.

    `row_names` says where the names of the rows come from ("id of a.parquet"); None where rows are only numbered.
    """

    notes: tuple[str, ...] = ()
    row_names: str | None = None
    left_out: tuple[str, ...] = ()

    def with_notes(self, *notes: str) -> ReadingNotes:
        """Return the record with more sentences; one that is there already is not said again."""
        return replace(self, notes=tuple(dict.fromkeys((*self.notes, *notes))))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReadingNotes:
        """Rebuild from plain JSON values."""
        names = values.get("row_names")
        return cls(
            notes=tuple(str(note) for note in values.get("notes", ())),
            row_names=None if names is None else str(names),
            left_out=tuple(str(row) for row in values.get("left_out", ())),
        )
