"""A diagnosis as lines of a terminal: the sentence, each finding with its code, what to try, what would decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repdiag.diagnosis.coded import CodedFinding
    from repdiag.diagnosis.verdict import Diagnosis

_TRIED = 2  # pieces of advice a finding: the page has the rest


def finding_lines(diagnosis: Diagnosis, *, evidence: bool = False) -> Iterator[str]:
    """Yield the findings, faults first; with `evidence`, also every number that was read, question by question."""
    for found in diagnosis.findings:
        yield f"{found.code} {found.title}{_grade(found)}: {found.sentence}"
        if found.is_open and found.decides:
            yield f"      would decide: {found.decides}"
        for advice in found.advice[:_TRIED]:
            yield f"      try: {advice.what}{f' ({advice.reference})' if advice.reference else ''}"
    if diagnosis.muted:
        yield f"muted: {', '.join(diagnosis.muted)}"
    for standing in diagnosis.standings:
        yield standing.sentence
    if evidence:
        yield from _evidence(diagnosis)


def _grade(found: CodedFinding) -> str:
    return "" if found.severity in ("unknown", "info", "none") else f" ({found.severity})"


def _evidence(diagnosis: Diagnosis) -> Iterator[str]:
    for question, finding in diagnosis:
        yield f"{question.replace('_', '-')}: {finding.verdict}. {finding.summary}"
        for item in finding.evidence:
            yield f"  {item.reading:<8} {item.sentence}"
