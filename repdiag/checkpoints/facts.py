"""`Fact`: one thing that changes an encoder's output and has no tensor of its own, with where its value comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from repdiag.core.printable import one_line

Source = Literal["told", "recorded", "tensors", "names", "family", "assumed"]


class Origin(NamedTuple):
    """Where a value was read: what kind of place, and which one ("config.json: hidden_act", "--heads")."""

    source: Source
    where: str = ""

    def __str__(self) -> str:
        return f"{self.source}: {self.where}" if self.where else self.source


ASSUMED = Origin("assumed")
FAMILY = Origin("family", "what its own code does")


def recorded(where: str) -> Origin:
    """Return the origin of a value that the file, or a file beside it, records."""
    return Origin("recorded", where)


def told(flag: str) -> Origin:
    """Return the origin of a value that the user gave."""
    return Origin("told", flag)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A fact that names and shapes leave open: its value, where that was read, and the flag that changes it.

    `source` is "told" (a flag, a manifest), "recorded" (the file, or one beside it), "tensors" (a shape proves it),
    "names" (the naming belongs to one code), "family" (what the family's own code does) or "assumed".
    """

    name: str
    value: str
    source: Source
    where: str = ""
    flag: str | None = None

    @classmethod
    def of(cls, name: str, value: object, origin: Origin, *, flag: str | None = None) -> Fact:
        """Return the fact of this name, its value in words."""
        return cls(name=name, value=str(value), source=origin.source, where=origin.where, flag=flag)


ASSUMPTIONS = "assumed, because neither the tensors nor the file say so"
"""What the note that lists the assumptions starts with."""


def assumptions_note(facts: Iterable[Fact]) -> tuple[str, ...]:
    """Return one line that names everything that was assumed with the flags that change it; nothing if nothing was."""
    named = [
        f"{fact.name} {fact.value}" + (f" ({fact.flag})" if fact.flag else "")
        for fact in facts
        if fact.source == "assumed"
    ]
    return (f"{ASSUMPTIONS}: {', '.join(named)}",) if named else ()


def table_of(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return facts, as `EncoderInfo.to_dict` has them, as lines: name, value, where it was read, the flag."""
    rows: list[tuple[str, ...]] = [("what no tensor holds", "value", "read from", "flag")] if facts else []
    for fact in facts:
        where = f"{fact['source']}: {fact['where']}" if fact["where"] else fact["source"]
        row = (fact["name"], fact["value"], where.replace("assumed", "ASSUMED", 1), fact["flag"] or "")
        rows.append(tuple(one_line(cell, 80) for cell in row))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(3)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=False)] + [row[3]] for row in rows)
    return [f"  {'  '.join(cells)}".rstrip() for cells in padded]
