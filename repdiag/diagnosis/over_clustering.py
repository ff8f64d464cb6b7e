"""Over-clustering: is the space organised at a finer (or coarser) granularity than the classes?"""

from __future__ import annotations

from dataclasses import dataclass

from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.cluster_evidence import (
    granularity_estimate,
    granularity_evidence,
    homogeneity_evidence,
    island_evidence,
    locality_evidence,
    purity_evidence,
    scatter_evidence,
    signal_evidence,
)
from repdiag.diagnosis.intervals import Estimate, proportion
from repdiag.diagnosis.rows import TRAIN, JudgedRows
from repdiag.diagnosis.split_classes import judge_by_islands
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import INCONCLUSIVE, NOT_OVER, OVER, UNDER, Evidence, Finding, Reading, Severity


def judge_over_clustering(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Return the finding: held-out islands decide where classes have the rows for it.

    Where they have not (or were not looked for), pieces that stand out decide, else granularity, where nothing else
    contradicts it.
    """
    by_pieces = _by_pieces(rows, thresholds)
    for split in (rows.split, TRAIN):  # where val has too few rows a class, the images trained on may have enough
        islands = rows.find("islands", split=split)
        if islands is not None and islands.value is not None:
            found = judge_by_islands(rows, islands, thresholds)
            # Many small islands in a class have no one direction that divides it, yet deep valleys between them.
            return by_pieces if by_pieces.verdict == OVER != found.verdict else found
    return by_pieces


def _by_pieces(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Return what pieces with valleys between them and granularity say."""
    granularity = rows.find("granularity")
    estimate = granularity_estimate(granularity)
    signal = signal_evidence(rows, thresholds)
    islands = island_evidence(rows, thresholds)
    locality = locality_evidence(rows, thresholds)
    scatter = scatter_evidence(rows, thresholds)
    signs = _Signs(
        islands=None if islands is None or islands.value is None else islands.reading,
        locality=_reading(locality),
        scatter=_reading(scatter),
        apart=_apart(rows, thresholds),
    )
    if estimate is None:
        reason = "granularity was not measured" if granularity is None else granularity.reason
        verdict, summary = INCONCLUSIVE, f"Over-clustering cannot be judged: {reason}."
    elif signal is not None and signal.reading == "against":
        verdict, summary = (
            INCONCLUSIVE,
            f"Clusters and classes hardly agree, at any number of clusters. {signal.sentence}",
        )
    else:
        verdict, summary = _weigh(estimate, signs, thresholds)
    curve = (purity_evidence(rows), homogeneity_evidence(rows))
    found = (granularity_evidence(granularity, thresholds), signal, islands, locality, scatter, *curve)
    return Finding(
        question="Does each class form one group, or several separate ones?",
        verdict=verdict,
        severity=_severity(verdict, estimate, _value(islands)),
        summary=summary,
        evidence=tuple(item for item in found if item is not None),
        thresholds=thresholds.only(
            "over_granularity",
            "under_granularity",
            "cluster_signal",
            "island_gap",
            "apart",
            "locality_ratio",
            "scattered_ratio",
        ),
        advice=advice_for(verdict),
    )


@dataclass(frozen=True, kw_only=True)
class _Signs:
    """What each sign beside granularity says about over-clustering; `islands` is None where they were not counted.

    `apart`: nearest neighbours are of the same class so often that classes cannot share islands.
    """

    islands: Reading | None
    locality: Reading
    scatter: Reading
    apart: bool


def _weigh(estimate: Estimate, signs: _Signs, thresholds: Thresholds) -> tuple[str, str]:
    shown = f"Clusters agree best with the classes at {_bracket(estimate)} clusters per class"
    over, under = thresholds.over_granularity, thresholds.under_granularity
    if signs.islands == "for":
        together = ", although the islands of a class lie close together" if estimate.low < over else ""
        return OVER, f"Classes fall into separate islands{together}. {shown}."
    if estimate.high < under:
        return UNDER, f"Several classes share a cluster. {shown}."
    if estimate.low > over:
        return _finer(signs, shown)
    whole = signs.islands == "against" and signs.locality == "against"
    if (estimate.low <= under and not (whole and signs.apart)) or (estimate.high >= over and not whole):
        return INCONCLUSIVE, f"{shown}: the interval contains a threshold."
    if not whole and (signs.locality, signs.scatter) == ("for", "for"):
        return INCONCLUSIVE, f"{shown}, but neighbours and distances indicate scattered classes."
    return NOT_OVER, f"The space is organised about as finely as the labels. {shown}."


def _finer(signs: _Signs, shown: str) -> tuple[str, str]:
    """Answer where granularity exceeds the threshold and no islands stand out: noise and sectors make clusters too."""
    if signs.islands == "against":
        return INCONCLUSIVE, f"{shown}, but no class falls into separate islands."
    if signs.islands == "neutral":
        return INCONCLUSIVE, f"{shown}, but it is open whether classes fall into separate islands."
    return INCONCLUSIVE, f"{shown}, but islands were not measured, or classes have too few rows to show them."


def _bracket(estimate: Estimate) -> str:
    return f"{estimate.value:.1f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _apart(rows: JudgedRows, thresholds: Thresholds) -> bool:
    """Say whether rows have strangers as nearest neighbours too seldom for classes that share islands."""
    first = rows.find("precision_at_1")
    return first is not None and first.value is not None and proportion(first).low > thresholds.apart


def _reading(evidence: Evidence | None) -> Reading:
    return "neutral" if evidence is None else evidence.reading


def _value(evidence: Evidence | None) -> float:
    return 1.0 if evidence is None or evidence.value is None or evidence.reading != "for" else evidence.value


def _severity(verdict: str, estimate: Estimate | None, islands: float) -> Severity:
    """Grade by how many times too fine or too coarse the space is; half a step where islands stay together."""
    if verdict == INCONCLUSIVE or estimate is None:
        return "unknown"
    if verdict == NOT_OVER:
        return "none"
    factor = 1.0 / estimate.value if verdict == UNDER else max(estimate.value, islands**0.5)
    return "severe" if factor > 6.0 else "marked" if factor > 2.0 else "mild"
