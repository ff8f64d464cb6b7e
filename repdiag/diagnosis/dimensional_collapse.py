"""Dimensional collapse: directions without variance, or variance in hardly any direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.rows import JudgedRows, evidence_from, value_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import COLLAPSED, INCONCLUSIVE, NOT_COLLAPSED, Evidence, Finding, Reading, Severity

QUESTION = "Is there dimensional collapse?"
_FEW_ROWS_SHARE = 0.5  # of the variance that a thousandth of the rows may hold: beyond, they alone make the spectrum


def judge_dimensional_collapse(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Return the finding from the centred singular spectrum.

    Dead directions decide alone. A low rank without them does not while the classes have the directions they need:
    supervised training ends there by design.
    """
    spectrum = rows.find("singular_spectrum")
    if spectrum is None or spectrum.value is None:
        reason = "singular_spectrum was not measured" if spectrum is None else spectrum.reason
        return _finding(INCONCLUSIVE, f"Dimensional collapse cannot be judged: {reason}.", thresholds)
    curve = [float(value) for value in spectrum.extra.get("curve", ())]
    if not curve:
        return _finding(
            INCONCLUSIVE, "Dimensional collapse cannot be judged: the stored spectrum is empty.", thresholds
        )
    possible = max(1, min(int(spectrum.extra.get("dims", len(curve))), spectrum.n - 1))
    rank = _smooth_rank(curve)
    classes = rows.classes()
    cliffs = [place for place in _cliffs(curve, thresholds) if place < (1.0 - thresholds.dead_share_sound) * possible]
    above = sum(value > thresholds.dead_below for value in curve)
    # Tight clusters make the same cliff: M of them span M - 1 directions, so it has to lie farther out than they reach.
    live = next((place for place in cliffs if place > _clusters(rows)), above)
    dead = 1.0 - min(possible, above, live) / possible
    low_rank = _reading(rank / possible, fault=thresholds.rank_share, sound=thresholds.rank_share_sound)
    many_dead = _reading(dead, fault=thresholds.dead_share, sound=thresholds.dead_share_sound)
    if many_dead == "against" and any(classes is None or place < classes - 1 for place in cliffs):
        many_dead = "neutral"  # fewer directions before the cliff than classes need, or nobody knows how many they need
    enough = classes is not None and rank >= classes - 1
    verdict = _verdict(many_dead, low_rank, enough=enough)
    evidence = _evidence(spectrum, rank=rank, possible=possible, dead=dead, thresholds=thresholds)
    longest = float(spectrum.extra.get("longest_rows_share", 0.0))
    if verdict == COLLAPSED and longest > _FEW_ROWS_SHARE:
        few = math.ceil(spectrum.n / 1000)
        said = f"{few} of {spectrum.n:,} rows {'holds' if few == 1 else 'hold'} {100 * longest:.0f} % of the variance"
        summary = (
            f"Dimensional collapse is open: {said}, so they determine the spectrum; look at these rows, or leave "
            "them out."
        )
        return _finding(INCONCLUSIVE, summary, thresholds, evidence=(*evidence, *_context(rows)))
    summary = evidence[0].sentence if many_dead == "for" else evidence[1].sentence
    if verdict == INCONCLUSIVE and low_rank == "for":
        summary += " This is low, but as many as the classes need; supervised training ends here too."
    return _finding(
        verdict,
        f"{_LEAD[verdict]}: {summary[0].lower()}{summary[1:]}",
        thresholds,
        evidence=(
            replace(evidence[0], reading=many_dead),
            replace(evidence[1], reading=low_rank),
            *_context(rows),
        ),
        live=min(rank / possible, 1.0 - dead),
    )


_LEAD = {
    COLLAPSED: "There is dimensional collapse",
    NOT_COLLAPSED: "There is no dimensional collapse",
    INCONCLUSIVE: "Dimensional collapse is open",
}


def _reading(value: float, *, fault: float, sound: float) -> Reading:
    """Read a value between a threshold for the fault and one for its absence; the zone between stands for its doubt."""
    if (value - fault) * (fault - sound) > 0:
        return "for"
    return "against" if (sound - value) * (fault - sound) > 0 else "neutral"


def _verdict(many_dead: Reading, low_rank: Reading, *, enough: bool) -> str:
    if many_dead == "for" or (low_rank == "for" and not enough):
        return COLLAPSED
    return NOT_COLLAPSED if (many_dead, low_rank) == ("against", "against") else INCONCLUSIVE


def _cliffs(curve: Sequence[float], thresholds: Thresholds) -> list[int]:
    """Return after how many directions the spectrum falls off a cliff with hardly any variance behind it, ascending.

    A collapsed space with noise on top has no dead directions, but such a cliff.
    """
    total, behind = math.fsum(value * value for value in curve), 0.0
    found = []
    for place in range(len(curve) - 1, 0, -1):
        behind += curve[place] ** 2
        if behind > thresholds.cliff_variance * total:
            break
        if curve[place] <= thresholds.cliff * curve[place - 1]:
            found.append(place)
    return found[::-1]


def _clusters(rows: JudgedRows) -> float:
    """Return how many clusters there may be, with the margin of their estimate; without labels any number."""
    classes = rows.classes()
    if classes is None:
        return math.inf
    known = (value_of(rows.find(name)) for name in ("sub_clusters", "granularity"))
    return 1.25 * classes * max((value for value in known if value is not None), default=1.0)


def _smooth_rank(curve: Sequence[float]) -> float:
    """Return the exponential entropy of the normalised singular values (RankMe of the centred rows)."""
    total = math.fsum(curve)
    shares = (value / total for value in curve)
    return math.exp(-math.fsum(share * math.log(share) for share in shares if share > 0.0))


def _evidence(
    row: MetricRow, *, rank: float, possible: int, dead: float, thresholds: Thresholds
) -> tuple[Evidence, Evidence]:
    empty = evidence_from(
        row,
        reading="neutral",
        threshold=thresholds.dead_share,
        sentence=f"{100 * dead:.0f} % of {possible} directions are dead: below {thresholds.dead_below:g} of the "
        "largest, or behind a cliff in the spectrum.",
    )
    filled = evidence_from(
        row,
        reading="neutral",
        threshold=thresholds.rank_share * possible,
        sentence=f"The variation fills {rank:.1f} of {possible} possible directions ({100 * rank / possible:.0f} %).",
    )
    return (
        replace(empty, params={"quantity": "share of dead directions"}, value=dead, ci_low=None, ci_high=None),
        replace(filled, params={"quantity": "smooth rank, centred"}, value=rank, ci_low=None, ci_high=None),
    )


def _context(rows: JudgedRows) -> list[Evidence]:
    found = []
    for name in ("rankme", "effective_rank", "participation_ratio"):
        row = rows.find(name)
        if row is not None and row.value is not None:
            sentence = f"{name} is {row.value:.1f}."
            found.append(evidence_from(row, reading="neutral", sentence=sentence, against_what="context"))
    return found


def _finding(
    verdict: str,
    summary: str,
    thresholds: Thresholds,
    *,
    evidence: tuple[Evidence, ...] = (),
    live: float = 1.0,
) -> Finding:
    grade: Severity = "severe" if live < 0.05 else "marked" if live < 0.25 else "mild"
    quiet: Severity = "none" if verdict == NOT_COLLAPSED else "unknown"
    return Finding(
        question=QUESTION,
        verdict=verdict,
        severity=grade if verdict == COLLAPSED else quiet,
        summary=summary,
        evidence=evidence,
        thresholds=thresholds.only(
            "dead_below", "cliff", "cliff_variance", "dead_share", "dead_share_sound", "rank_share", "rank_share_sound"
        ),
        advice=advice_for("dimensional") if verdict == COLLAPSED else (),
    )
