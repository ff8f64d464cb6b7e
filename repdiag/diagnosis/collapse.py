"""Collapse, in three kinds: one point for every image, a narrow cone, a few dimensions out of many."""

from __future__ import annotations

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.intervals import Estimate
from repdiag.diagnosis.rows import JudgedRows, evidence_from
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import INCONCLUSIVE, CollapseFinding, Evidence, Finding, Reading, Severity

COLLAPSED, SOUND = "collapsed", "not collapsed"


def judge_collapse(rows: JudgedRows, thresholds: Thresholds) -> CollapseFinding:
    """Return the finding about collapse with one finding a kind."""
    complete = _complete(rows, thresholds)
    cone = _cone(rows, thresholds)
    dimensional = _dimensional(rows, thresholds)
    kinds = (complete, cone, dimensional)
    fallen = [kind for kind in kinds if kind.verdict == COLLAPSED]
    if fallen:
        verdict, summary = COLLAPSED, " ".join(kind.summary for kind in fallen)
    elif all(kind.verdict == SOUND for kind in kinds):
        verdict, summary = SOUND, "The space has no complete, cone or dimensional collapse."
    else:
        verdict = INCONCLUSIVE
        summary = " ".join(kind.summary for kind in kinds if kind.verdict == INCONCLUSIVE)
    return CollapseFinding(
        question="Has the space collapsed?",
        verdict=verdict,
        severity=max((kind.severity for kind in fallen), key=_GRADES.index) if fallen else _quiet(verdict),
        summary=summary,
        evidence=tuple(item for kind in kinds for item in kind.evidence),
        thresholds=thresholds.only("complete_variance", "cone_cosine", "rank_share", "rank_share_sound"),
        advice=tuple(item for kind in kinds for item in kind.advice),
        complete=complete,
        cone=cone,
        dimensional=dimensional,
    )


_GRADES: tuple[Severity, ...] = ("none", "unknown", "mild", "marked", "severe")


def _quiet(verdict: str) -> Severity:
    return "none" if verdict == SOUND else "unknown"


def _complete(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Complete collapse: the unit rows hardly differ, whatever the image."""
    limit = thresholds.complete_variance
    row = rows.find("feature_std")
    if row is None or row.value is None:
        return _unmeasured("complete", "feature_std", row)
    variance = row.value**2
    fallen = variance < limit
    sentence = f"The unit rows have a standard deviation of {row.value:.2g} around their mean (1 is the largest)."
    evidence = evidence_from(row, reading="for" if fallen else "against", sentence=sentence, threshold=limit**0.5)
    return _finding("complete", fallen=fallen, severity="severe", evidence=(evidence,), thresholds=thresholds)


def _cone(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Cone collapse: every row points almost the same way, so that cosines near 1 mean nothing."""
    limit = thresholds.cone_cosine
    row = rows.find("mean_cosine")
    if row is None or row.value is None:
        return _unmeasured("cone", "mean_cosine", row)
    fallen = row.value > limit
    sentence = f"Two random rows have a mean cosine of {row.value:.3f}."
    evidence = [evidence_from(row, reading="for" if fallen else "against", sentence=sentence, threshold=limit)]
    margin = rows.find("alignment_margin", pair="original-view")
    if margin is not None and margin.value is not None:
        words = f"An image's view is closer to it than a random image by a mean cosine of {margin.value:.3f}."
        evidence.append(evidence_from(margin, reading="neutral", sentence=words, against_what="context"))
    severity: Severity = "severe" if row.value > 1 - (1 - limit) / 10 else "marked"
    return _finding("cone", fallen=fallen, severity=severity, evidence=tuple(evidence), thresholds=thresholds)


def _dimensional(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Dimensional collapse: the variance lives in far fewer directions than the space and the rows offer."""
    row = rows.find("effective_rank")
    if row is None or row.value is None:
        return _unmeasured("dimensional", "effective_rank", row)
    largest = row.extra.get("largest")
    if not largest:
        return _unmeasured("dimensional", "effective_rank", row, reason="its largest possible value is not recorded")
    low, high = thresholds.rank_share, thresholds.rank_share_sound
    share = Estimate(row.value / largest, (row.ci_low or row.value) / largest, (row.ci_high or row.value) / largest)
    fallen, sound = share.high < low, share.low > high
    sentence = (
        f"The variance spreads over {row.value:.1f} of {largest:g} possible directions ({100 * share.value:.0f} %)."
    )
    reading: Reading = "for" if fallen else "against" if sound else "neutral"
    evidence = [evidence_from(row, reading=reading, sentence=sentence, threshold=low * largest)]
    for name in ("rankme", "participation_ratio"):
        other = rows.find(name)
        if other is not None and other.value is not None:
            words = f"{name} reads {other.value:.1f}."
            evidence.append(evidence_from(other, reading="neutral", sentence=words, against_what="context"))
    severity: Severity = "severe" if share.value < low / 5 else "marked" if share.value < low / 2 else "mild"
    return _finding(
        "dimensional",
        fallen=fallen,
        severity=severity,
        evidence=tuple(evidence),
        thresholds=thresholds,
        undecided=not (fallen or sound),
    )


_LIMITS = {
    "complete": ("complete_variance",),
    "cone": ("cone_cosine",),
    "dimensional": ("rank_share", "rank_share_sound"),
}


def _finding(
    kind: str,
    *,
    fallen: bool,
    severity: Severity,
    evidence: tuple[Evidence, ...],
    thresholds: Thresholds,
    undecided: bool = False,
) -> Finding:
    verdict = INCONCLUSIVE if undecided else COLLAPSED if fallen else SOUND
    lead = {COLLAPSED: f"There is {kind} collapse", SOUND: f"There is no {kind} collapse"}
    said = lead.get(verdict, f"Whether there is {kind} collapse stays open")
    return Finding(
        question=f"Is there {kind} collapse?",
        verdict=verdict,
        severity=severity if verdict == COLLAPSED else _quiet(verdict),
        summary=f"{said}: {evidence[0].sentence[0].lower()}{evidence[0].sentence[1:]}",
        evidence=evidence,
        thresholds=thresholds.only(*_LIMITS[kind]),
        advice=advice_for(kind) if verdict == COLLAPSED else (),
    )


def _unmeasured(kind: str, metric: str, row: MetricRow | None, *, reason: str | None = None) -> Finding:
    reason = reason or (f"{metric} was not measured" if row is None else f"{metric}: {row.reason}")
    return Finding(
        question=f"Is there {kind} collapse?",
        verdict=INCONCLUSIVE,
        severity="unknown",
        summary=f"Whether there is {kind} collapse stays open: {reason}.",
        evidence=(),
        thresholds={},
    )
