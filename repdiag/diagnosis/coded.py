"""Findings with codes: what a diagnosis found or left open, one flat list that can be read, muted and gated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from repdiag.diagnosis.codes import CODES

if TYPE_CHECKING:
    from repdiag.diagnosis.verdict import Advice, Diagnosis, Finding

_INFO = "info"


@dataclass(frozen=True, kw_only=True, repr=False)
class CodedFinding:
    """One finding, or one open question.

    `code` is stable; docs/findings.md explains each one. `severity` is a grade, a range of grades, "unknown" for an
    open question, or "info" if it is not a fault. `value` with its interval is the deciding number of `metric`,
    compared with `threshold`. `decides` says what it takes to decide, `advice` what to try.
    """

    code: str
    sentence: str
    severity: str
    value: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    threshold: float | None = None
    metric: str = ""
    decides: str = ""
    advice: tuple[Advice, ...] = ()

    @property
    def title(self) -> str:
        """Return the title of the code."""
        return CODES[self.code].title

    @property
    def is_open(self) -> bool:
        """Return whether the question was left open."""
        return self.severity == "unknown"

    def __repr__(self) -> str:
        return f"{self.code} {self.title} ({self.severity}): {self.sentence}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"code": self.code, "title": self.title, **asdict(self)}


def coded_findings(diagnosis: Diagnosis) -> tuple[CodedFinding, ...]:
    """Return every finding, faults first, then what is open, then what is only to be known; muted ones are left out."""
    found = [
        *_over_clustering(diagnosis.over_clustering),
        *_overfitting(diagnosis),
        *_collapse(diagnosis),
        *diagnosis.checks,
        *_standings(diagnosis),
    ]
    kept = [item for item in found if item.code not in diagnosis.muted]
    return tuple(sorted(kept, key=lambda item: (item.severity == _INFO, item.is_open)))


def coded(code: str, finding: Finding, *, metrics: tuple[str, ...] = ()) -> CodedFinding:
    """Return the finding under its code, with the number of the named metrics (or of the first evidence) that spoke."""
    evidence = [item for item in finding.evidence if item.value is not None]
    named = [item for item in evidence if item.metric in metrics] or [
        item for item in evidence if item.reading == "for"
    ]
    spoke = next(iter(named or evidence), None)
    return CodedFinding(
        code=code,
        sentence=finding.summary,
        severity=finding.severity,
        value=None if spoke is None else spoke.value,
        ci_low=None if spoke is None else spoke.ci_low,
        ci_high=None if spoke is None else spoke.ci_high,
        threshold=None if spoke is None else spoke.threshold,
        metric="" if spoke is None else spoke.metric,
        decides=CODES[code].decides,
        advice=finding.advice,
    )


def _over_clustering(finding: Finding) -> Iterator[CodedFinding]:
    code = {"over-clustered": "RD101", "under-clustered": "RD102", "inconclusive": "RD103"}.get(finding.verdict)
    if code is not None:
        metrics = {"RD101": ("islands",), "RD102": ("granularity_slope",), "RD103": ()}[code]
        yield coded(code, finding, metrics=metrics)
    elif finding.split_classes:
        yield coded("RD104", finding, metrics=("islands",))


def _overfitting(diagnosis: Diagnosis) -> Iterator[CodedFinding]:
    whole = diagnosis.overfitting
    if whole.pretext is None and whole.labels is None:
        if whole.verdict != "no overfitting":
            yield coded("RD203" if whole.verdict == "inconclusive" else "RD201", whole)
        return
    for code, kind in (("RD201", whole.pretext), ("RD202", whole.labels)):
        if kind is not None and kind.verdict == "overfitting":
            yield coded(code, kind)
        elif kind is not None and kind.verdict == "inconclusive":
            yield coded("RD203", kind)


def _collapse(diagnosis: Diagnosis) -> Iterator[CodedFinding]:
    collapse = diagnosis.collapse
    for code, kind in (("RD301", collapse.complete), ("RD302", collapse.cone), ("RD303", collapse.dimensional)):
        if kind.verdict == "collapsed":
            yield coded(code, kind)
        elif kind.verdict == "inconclusive":
            yield coded("RD304", kind)


def _standings(diagnosis: Diagnosis) -> Iterator[CodedFinding]:
    codes = {"worse grouped": "RD601", "more over-clustered": "RD602", "more overfitted": "RD603"}
    for standing in diagnosis.standings:
        code = codes.get(standing.verdict)
        if code is not None and standing.against.startswith("reference"):
            yield CodedFinding(code=code, sentence=standing.sentence, severity="mild", decides=CODES[code].decides)


def from_stored(stored: Mapping[str, Any], advice: tuple[Advice, ...]) -> CodedFinding:
    """Return the finding that `to_dict` wrote."""
    names = ("code", "sentence", "severity", "value", "ci_low", "ci_high", "threshold", "metric", "decides")
    return CodedFinding(**{name: stored[name] for name in names}, advice=advice)
