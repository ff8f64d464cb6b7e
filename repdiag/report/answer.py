"""The top of the page: which encoder leads and by how much, what is wrong, what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repdiag.report.forest import said_test
from repdiag.results.headlines import CONTEXT, HEADLINES

if TYPE_CHECKING:
    from repdiag.report.verdicts import Judgement
    from repdiag.results.pairs import StoredPairs
    from repdiag.results.reading import StoredRun

_DIFFERENCES = 3
_STEPS = 4
_SAID = 3
_ROWS = "RD5"  # codes of findings that name rows
_URGENCY = {"bad": 0, "warn": 1, "open": 2, "good": 3}


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do: for which checkpoints, because of which finding, on which paper's word."""

    names: tuple[str, ...]
    code: str
    title: str
    what: str
    tone: str
    reference: str = ""


def by_how_much(ranking: Mapping[str, Any] | None, pairs: StoredPairs) -> str:
    """Return by what the encoder to take leads the next one, by the paired tests that tell them apart."""
    order = _order(ranking)
    if len(order) < 2:
        return ""
    first, second = order[:2]
    found = []
    for headline in HEADLINES:
        if headline.metric in CONTEXT or headline.direction != "higher":
            continue
        said = said_test(headline, (first, second), pairs, only_apart=True)
        if said:
            found.append(f"{headline.label.partition(',')[0]} {said}")
    if not found:
        return f"Against {second}: no paired test on the same images finds a difference."
    return f"Against {second}, on the same images: {'; '.join(found[:_DIFFERENCES])}."


def _order(ranking: Mapping[str, Any] | None) -> list[str]:
    chances: dict[str, float] = {}
    for row in (ranking or {}).get("rows", ()):
        chances[str(row["checkpoint"])] = chances.get(str(row["checkpoint"]), 0.0) + float(row["p_best"])
    return sorted(chances, key=lambda name: -chances[name])


def steps(found: Sequence[Judgement]) -> tuple[Step, ...]:
    """Return what to do first: the first advice of each fault, then what would decide what is open.

    Checkpoints with the same advice share a step.
    """
    shared: dict[tuple[str, str, str, str, str], list[str]] = {}
    looked: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for one in found:
        for item in one.coded:
            code, title, tone = (str(item[name]) for name in ("code", "title", "tone"))
            advice = next(iter(item.get("advice") or ()), None)
            if advice is not None:
                key = (code, title, str(advice["what"]), tone, str(advice["reference"] or ""))
                shared.setdefault(key, []).append(one.checkpoint)
            elif item.get("severity") == "unknown" and item.get("decides"):
                key = (code, title, f"To decide it: {item['decides']}", tone, "")
                shared.setdefault(key, []).append(one.checkpoint)
            elif item.get("severity") == "info":
                looked.setdefault((code, title), []).append((one.checkpoint, str(item["sentence"])))
    listed = [
        Step(names=tuple(names), code=code, title=title, what=what, tone=tone, reference=reference)
        for (code, title, what, tone, reference), names in shared.items()
    ]
    for (code, title), said in looked.items():
        what = " ".join(sentence if len(said) == 1 else f"{name}: {sentence}" for name, sentence in said[:_SAID])
        if code.startswith(_ROWS):
            what = f"Look at the rows in rows_to_check.csv. {what}"
        listed.append(Step(names=tuple(name for name, _ in said), code=code, title=title, what=what, tone="open"))
    return tuple(sorted(listed, key=lambda step: _URGENCY.get(step.tone, 2))[:_STEPS])


def facts(stored: StoredRun, *, encoders: int, split: str) -> str:
    """Return what the page is of: dataset, split, rows, encoders."""
    sets = ", ".join(map(str, stored.table.names("dataset")))
    counts = sorted({row.n for row in stored.table if row.split == split and row.metric in ("uniformity", "rankme")})
    rows = f"{counts[-1]:,} images of {split}" if counts and split != "unknown" else ""
    if counts and split == "unknown":
        rows = f"{counts[-1]:,} rows"
    several = f"{encoders} encoders" if encoders > 1 else ""
    return " \N{MIDDLE DOT} ".join(part for part in (sets, rows, several) if part)
