"""Over-clustering by held-out islands: which classes fall into separate groups, or share one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.cluster_evidence import homogeneity_evidence, purity_evidence, signal_evidence
from repdiag.diagnosis.grades import grade_of
from repdiag.diagnosis.intervals import Estimate, proportion
from repdiag.diagnosis.rows import JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import INCONCLUSIVE, NOT_OVER, OVER, UNDER, Evidence, Finding

_NAMED = 6  # split classes that a sentence names


def judge_by_islands(rows: JudgedRows, islands: MetricRow, thresholds: Thresholds) -> Finding:
    """Return the finding from a row of `islands` that has a value.

    Classes in several groups, more than single ones, are over-clustering; else half as many clusters as classes that
    agree better with them are under-clustering; else the classes are each one group, but for single ones.
    """
    pieces = {str(name): int(found["pieces"]) for name, found in islands.extra.get("split", {}).items()}
    judged, share = int(islands.extra["judged_classes"]), float(islands.extra["share_split"])
    signal, coarse = signal_evidence(rows, thresholds), _slope(rows, 0.5)
    if share > thresholds.split_mild:
        verdict, summary = OVER, f"{len(pieces)} of {judged} classes fall into separate groups: {_named(pieces)}."
        severity = "mild" if share <= thresholds.split_marked else "marked"
        severity = "severe" if share > thresholds.split_severe else severity
    elif signal is not None and signal.reading == "against":
        verdict, severity = INCONCLUSIVE, "unknown"
        summary = f"Clusters and classes hardly agree, at any number of clusters. {signal.sentence}"
    elif coarse is not None and coarse.low > thresholds.coarser and not _apart(rows, thresholds):
        verdict, severity = UNDER, grade_of(coarse.value, (0.0, 0.05, 0.15))
        summary = f"Several classes share a cluster: half as many clusters as classes agree better, by {_ami(coarse)}."
    else:
        verdict, severity = NOT_OVER, "mild" if pieces else "none"
        summary = f"{_each_one(pieces, judged)} {_slope_said(rows)}".strip()
    evidence = (
        _islands_evidence(islands, pieces, judged),
        *_slope_evidence(rows),
        signal,
        _locality(rows, thresholds),
        purity_evidence(rows),
        homogeneity_evidence(rows),
    )
    if islands.split != rows.split:
        summary = f"{summary} This is measured on {islands.split} images, where each class has enough of them."
    return Finding(
        question="Does each class form one group, or several separate ones?",
        verdict=verdict,
        severity=severity,
        summary=summary + _few(islands.extra.get("too_few_rows", {})),
        evidence=tuple(item for item in evidence if item is not None),
        thresholds=thresholds.only(
            *("cluster_signal", "apart", "coarser", "locality_ratio", "split_mild", "split_marked", "split_severe")
        ),
        advice=advice_for(verdict),
        split_classes=pieces,
    )


def _named(pieces: Mapping[str, int]) -> str:
    first = sorted(pieces.items(), key=lambda item: -item[1])[:_NAMED]
    said = ", ".join(f"{name} ({count})" for name, count in first)
    return said + (f" and {len(pieces) - _NAMED} more" if len(pieces) > _NAMED else "")


def _each_one(pieces: Mapping[str, int], judged: int) -> str:
    """Say that the classes are one group each; real classes of two kinds are no fault of the encoder, and are named."""
    if not pieces:
        return f"Each of the {judged} classes forms one group."
    falls = "falls" if len(pieces) == 1 else "fall"
    return (
        f"{len(pieces)} of {judged} classes {falls} into separate groups ({_named(pieces)}); the others form one "
        "group each."
    )


def _few(classes: Mapping[str, Any]) -> str:
    return f" {len(classes)} classes have too few rows to judge." if classes else ""


def _slope(rows: JudgedRows, factor: float) -> Estimate | None:
    row = rows.find("granularity_slope", factor=factor)
    bounds = None if row is None else interval_of(row)
    return None if row is None or row.value is None or bounds is None else Estimate(row.value, *bounds)


def _ami(found: Estimate) -> str:
    return f"{found.value:+.2f} AMI [{found.low:+.2f}, {found.high:+.2f}]"


def _slope_said(rows: JudgedRows) -> str:
    """Say what the over-cluster curve does at twice as many clusters: rise, fall, or stay flat."""
    found = _slope(rows, 2.0)
    if found is None:
        return ""
    if found.low > 0.0:
        return (
            f"Two clusters per class agree better ({_ami(found)}): each class is connected, but finer than the labels."
        )
    if found.high < 0.0:
        return f"One cluster per class agrees best ({_ami(found)} at two)."
    return f"The over-cluster curve is flat ({_ami(found)} at two clusters per class)."


def _islands_evidence(row: MetricRow, pieces: Mapping[str, int], judged: int) -> Evidence:
    smallest = float(row.extra.get("smallest_p", 1.0))
    sentence = f"{len(pieces)} of {judged} classes are split by held-out bisection (smallest p {smallest:.2g})."
    return evidence_from(row, reading="for" if pieces else "against", sentence=sentence, threshold=1.0)


def _slope_evidence(rows: JudgedRows) -> list[Evidence]:
    found = []
    for factor, words in (
        (0.5, "half as many"),
        (2.0, "twice as many"),
        (4.0, "four times as many"),
    ):
        row, slope = rows.find("granularity_slope", factor=factor), _slope(rows, factor)
        if row is not None and slope is not None:
            change = f"{slope.value:+.2f} [{slope.low:+.2f}, {slope.high:+.2f}]"
            sentence = f"From one cluster per class to {words}, AMI changes by {change}."
            found.append(evidence_from(row, reading="neutral", sentence=sentence, threshold=0.0))
    return found


def _locality(rows: JudgedRows, thresholds: Thresholds) -> Evidence | None:
    row = rows.find("locality")
    bounds = None if row is None else interval_of(row)
    if row is None or row.value is None or bounds is None:
        return None
    limit, found = thresholds.locality_ratio, Estimate(row.value, *bounds)
    sentence = (
        f"Above chance, the R nearest neighbours reach {100 * row.value:.0f} % of the precision of the first one; "
        f"below {100 * limit:.0f} % suggests islands."
    )
    return evidence_from(row, reading=found.reading(limit, above="against"), sentence=sentence, threshold=limit)


def _apart(rows: JudgedRows, thresholds: Thresholds) -> bool:
    """Say whether rows have strangers as nearest neighbours too seldom for classes that share a cluster."""
    first = rows.find("precision_at_1")
    return first is not None and first.value is not None and proportion(first).low > thresholds.apart
