"""Collapse, in three kinds: one point for every image, a narrow cone, a few dimensions out of many."""

from __future__ import annotations

from dataclasses import replace

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.dimensional_collapse import judge_dimensional_collapse
from repdiag.diagnosis.intervals import Estimate
from repdiag.diagnosis.rows import JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import (
    COLLAPSED,
    INCONCLUSIVE,
    NOT_COLLAPSED,
    CollapseFinding,
    Evidence,
    Finding,
    Reading,
    Severity,
)

_FEWEST = 8  # rows below which a space without a fault is not called sound
_WORSE = ("none", "unknown", "mild", "marked", "severe")


def judge_collapse(rows: JudgedRows, thresholds: Thresholds) -> CollapseFinding:
    """Return the finding about collapse with one finding a kind."""
    complete = _complete(rows, thresholds)
    cone = _cone(rows, thresholds)
    dimensional = judge_dimensional_collapse(rows, thresholds)
    kinds = (complete, cone, dimensional)
    fallen = [kind for kind in kinds if kind.verdict == COLLAPSED]
    unsure = [kind for kind in kinds if kind.verdict == INCONCLUSIVE]
    spectrum = rows.find("singular_spectrum")
    if not fallen and not unsure and spectrum is not None and spectrum.n < _FEWEST:
        dimensional = replace(
            dimensional,
            verdict=INCONCLUSIVE,
            severity="unknown",
            summary=f"{spectrum.n} rows are too few to exclude missing directions.",
        )
        kinds, unsure = (complete, cone, dimensional), [dimensional]
    decisive = fallen or unsure
    return CollapseFinding(
        question="Has the space collapsed?",
        verdict=decisive[0].verdict if decisive else NOT_COLLAPSED,
        severity=max((kind.severity for kind in decisive), key=_WORSE.index) if decisive else "none",
        summary=" ".join(kind.summary for kind in decisive) or "There is no complete, cone or dimensional collapse.",
        evidence=tuple(item for kind in kinds for item in kind.evidence),
        thresholds={name: value for kind in kinds for name, value in kind.thresholds.items()},
        advice=tuple(item for kind in kinds for item in kind.advice),
        complete=complete,
        cone=cone,
        dimensional=dimensional,
    )


def _complete(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Complete collapse: the rows hardly differ, whatever the image."""
    limit = thresholds.complete_variance
    spectrum = rows.find("singular_spectrum")
    if spectrum is not None and spectrum.value is None and spectrum.n > 1:
        nothing = evidence_from(spectrum, reading="for", sentence=f"There is no spectrum: {spectrum.reason}.")
        return _finding("complete", evidence=[nothing], thresholds=thresholds, severity="severe")
    row = rows.find("mean_cosine")
    if row is None or row.value is None:
        return _unmeasured("complete", row, thresholds)
    variance = 1.0 - row.value
    sentence = f"The variance of unit rows around their mean is {variance:.2g} (the largest possible is 1)."
    reading: Reading = "for" if variance < limit else "against"
    evidence = evidence_from(row, reading=reading, sentence=sentence, threshold=1.0 - limit)
    return _finding("complete", evidence=[evidence], thresholds=thresholds, severity="severe")


def _cone(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Cone collapse: every row points almost the same way, so that cosines near 1 mean nothing."""
    limit = thresholds.cone_cosine
    row = rows.find("mean_cosine")
    if row is None or row.value is None:
        return _unmeasured("cone", row, thresholds)
    low, high = interval_of(row) or (row.value, row.value)
    reading = Estimate(row.value, low, high).reading(limit, above="for")
    sentence = f"Two random rows have a mean cosine of {row.value:.3f}."
    evidence = [evidence_from(row, reading=reading, sentence=sentence, threshold=limit)]
    margin = rows.find("alignment_margin", pair="original-view")
    if margin is not None and margin.value is not None:
        words = f"The mean cosine of a view and its image exceeds that of random images by {margin.value:.3f}."
        evidence.append(evidence_from(margin, reading="neutral", sentence=words, against_what="context"))
    severity: Severity = "severe" if 1.0 - row.value < (1.0 - limit) / 10 else "marked"
    return _finding("cone", evidence=evidence, thresholds=thresholds, severity=severity)


_LIMITS = {"complete": "complete_variance", "cone": "cone_cosine"}
_VERDICTS: dict[Reading, str] = {"for": COLLAPSED, "against": NOT_COLLAPSED, "neutral": INCONCLUSIVE}
_LEAD: dict[Reading, str] = {"for": "There is", "against": "There is no", "neutral": "It is open whether there is"}


def _finding(kind: str, *, evidence: list[Evidence], thresholds: Thresholds, severity: Severity) -> Finding:
    """Return the finding that the first piece of evidence decides."""
    decisive = evidence[0]
    quiet: Severity = "none" if decisive.reading == "against" else "unknown"
    said = f"{decisive.sentence[0].lower()}{decisive.sentence[1:]}"
    return Finding(
        question=f"Is there {kind} collapse?",
        verdict=_VERDICTS[decisive.reading],
        severity=severity if decisive.reading == "for" else quiet,
        summary=f"{_LEAD[decisive.reading]} {kind} collapse: {said}",
        evidence=tuple(evidence),
        thresholds=thresholds.only(_LIMITS[kind]),
        advice=advice_for(kind) if decisive.reading == "for" else (),
    )


def _unmeasured(kind: str, row: MetricRow | None, thresholds: Thresholds) -> Finding:
    reason = "mean_cosine was not measured" if row is None else row.reason
    return Finding(
        question=f"Is there {kind} collapse?",
        verdict=INCONCLUSIVE,
        severity="unknown",
        summary=f"{kind.capitalize()} collapse cannot be judged: {reason}.",
        evidence=(),
        thresholds=thresholds.only(_LIMITS[kind]),
    )
