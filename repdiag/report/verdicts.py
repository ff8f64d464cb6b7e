"""The judgements of a run in the words of the report: one sentence first, then each finding with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from repdiag.core.numbers import show_value

FINDINGS = {"over_clustering": "Over-clustering", "overfitting": "Overfitting", "collapse": "Collapse"}
_TONES = {"none": "good", "info": "open", "unknown": "open", "mild": "warn", "marked": "bad", "severe": "bad"}


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One checkpoint: the sentence and the answers as stored, with a tone for their colour.

    `coded` is the flat list of what was found and what stays open, each with its code.
    """

    checkpoint: str
    sentence: str
    findings: tuple[Mapping[str, Any], ...]
    standings: tuple[Mapping[str, Any], ...] = ()
    coded: tuple[Mapping[str, Any], ...] = ()


def judgements(verdicts: Mapping[str, Any]) -> tuple[Judgement, ...]:
    """Return one judgement a checkpoint, in the order stored."""
    return tuple(
        Judgement(
            checkpoint=str(name),
            sentence=str(verdict.get("summary", "")),
            findings=tuple(
                _finding(title, verdict[key]) for key, title in FINDINGS.items() if isinstance(verdict.get(key), dict)
            ),
            standings=tuple(verdict.get("standings", ())),
            coded=tuple({**item, "tone": _tone(item)} for item in verdict.get("findings", ())),
        )
        for name, verdict in verdicts.items()
        if isinstance(verdict, dict)
    )


def headline(found: Iterable[Judgement], ranking: Mapping[str, Any] | None = None) -> str:
    """Return the sentence on top: which encoder to take, where several were ranked, else how each is judged.

    Checkpoints that are judged alike share their words.
    """
    if ranking is not None:
        return str(ranking["headline"])
    named: dict[str, list[str]] = {}
    for one in found:
        named.setdefault(one.sentence, []).append(one.checkpoint)
    parts = [f"{', '.join(names)}: {sentence.rstrip('.')}." for sentence, names in named.items()]
    return " ".join(parts) if parts else "This run has no verdict."


def cited_keys(found: Iterable[Judgement]) -> list[str]:
    """Return the keys of the papers behind the advice."""
    return [str(item["reference"]) for one in found for finding in one.findings for item in finding["advice"]]


def _finding(title: str, stored: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "question": stored.get("question", ""),
        "verdict": stored.get("verdict", ""),
        "severity": stored.get("severity", "unknown"),
        "tone": _tone(stored),
        "summary": stored.get("summary", ""),
        "evidence": [_evidence(item) for item in stored.get("evidence", ())],
        "thresholds": dict(stored.get("thresholds", {})),
        "advice": [item for item in stored.get("advice", ()) if "reference" in item],
    }


def _tone(stored: Mapping[str, Any]) -> str:
    severity = str(stored.get("severity"))
    worst = severity.rpartition(" ")[2]
    if severity.startswith("none"):  # "none or mild" belongs to an answer "no", "none to marked" to an open question
        return "good" if worst in {"none", "mild"} else "open"
    return _TONES.get(worst, "open")


def _evidence(item: Mapping[str, Any]) -> dict[str, Any]:
    value, low, high = (item.get(name) for name in ("value", "ci_low", "ci_high"))
    shown = "n/a" if value is None else show_value(float(value))
    if low is not None and high is not None:
        shown += f" [{show_value(float(low))}, {show_value(float(high))}]"
    return {
        "sentence": item.get("sentence", ""),
        "reading": item.get("reading", "neutral"),
        "metric": item.get("metric", ""),
        "shown": shown,
        "threshold": None if item.get("threshold") is None else show_value(float(item["threshold"])),
        "against": item.get("against_what", ""),
    }
