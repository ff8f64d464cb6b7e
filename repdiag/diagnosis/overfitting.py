"""Overfitting to the pretext task: does the encoder tell train images apart better than images it never saw?"""

from __future__ import annotations

from dataclasses import dataclass

from repdiag.core.metric_table import MetricRow
from repdiag.core.provenance import UNKNOWN
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.intervals import SQUARE_AND_ADD, Estimate, difference, proportion
from repdiag.diagnosis.rows import TRAIN, JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import INCONCLUSIVE, NO_OVERFITTING, OVERFITTING, Evidence, Finding, Severity

PAIRS = ("original-view", "view-view")
_TASK = "instance_discrimination_accuracy"


@dataclass(frozen=True)
class _Gap:
    """The gap with its interval, and how that was made."""

    estimate: Estimate
    method: str


def judge_overfitting(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Return the finding from the gap in instance discrimination between train and the judged split."""
    delta = thresholds.overfitting_gap
    evidence: list[Evidence] = []
    first, obstacle = _gap(rows, PAIRS[0])
    if first is not None:
        evidence.append(_gap_evidence(rows, PAIRS[0], first, delta=delta))
    second, _ = _gap(rows, PAIRS[1])
    if second is not None:
        evidence.append(_gap_evidence(rows, PAIRS[1], second, delta=delta))
    evidence += _context(rows)
    gap = None if first is None else first.estimate
    verdict, summary = _decide(gap, obstacle, delta=delta)
    return Finding(
        question="Does the encoder overfit the pretext task?",
        verdict=verdict,
        severity=_severity(verdict, gap, delta=delta),
        summary=summary,
        evidence=tuple(evidence),
        thresholds=thresholds.only("overfitting_gap"),
        advice=advice_for(verdict),
    )


def _gap(rows: JudgedRows, pair: str) -> tuple[_Gap | None, str]:
    """Return the gap, or the reason why there is none.

    Where `pretext_gap` was measured its interval is the gap's: the one that tables and figures show. The two accuracies
    stand in for it where it was not. Theirs is the wider one by far, since classes that are hard on both splits widen
    both intervals and leave the gap alone.
    """
    measured = None if rows.split == TRAIN else rows.find("pretext_gap", pair=pair, k=1)
    bounds = None if measured is None else interval_of(measured)
    if measured is None or measured.value is None or bounds is None:
        return _gap_of_accuracies(rows, pair)
    return _Gap(Estimate(measured.value, *bounds), measured.ci_method or ""), ""


def _gap_of_accuracies(rows: JudgedRows, pair: str) -> tuple[_Gap | None, str]:
    if not rows.has_train:
        return None, "there are no train rows to compare with"
    train = rows.find(_TASK, split=TRAIN, pair=pair, k=1)
    held_out = rows.find(_TASK, pair=pair, k=1)
    for row, split in ((train, TRAIN), (held_out, rows.split)):
        if row is None:
            return None, f"{_TASK} was not measured on {split}"
        if row.value is None:
            return None, f"{_TASK} on {split}: {row.reason}"
    assert train is not None
    assert held_out is not None
    if train.n != held_out.n:
        return None, f"the galleries differ in size ({train.n} train, {held_out.n} {rows.split})"
    return _Gap(difference(proportion(train), proportion(held_out)), SQUARE_AND_ADD), ""


def _decide(gap: Estimate | None, obstacle: str, *, delta: float) -> tuple[str, str]:
    if gap is None:
        return INCONCLUSIVE, f"Overfitting cannot be judged: {obstacle}."
    shown = f"{100 * gap.value:+.1f} points [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
    limit = f"{100 * delta:g} points"
    if gap.low > delta:
        return OVERFITTING, f"Train images are told apart better than unseen ones by {shown}, more than {limit}."
    if gap.high < delta:
        return NO_OVERFITTING, f"The train-val gap of the pretext task is {shown}, below {limit}."
    return INCONCLUSIVE, f"The train-val gap of {shown} includes the limit of {limit}: more rows would decide."


def _severity(verdict: str, gap: Estimate | None, *, delta: float) -> Severity:
    if verdict == INCONCLUSIVE or gap is None:
        return "unknown"
    if verdict == NO_OVERFITTING:
        return "none"
    if gap.low > 10 * delta:
        return "severe"
    return "marked" if gap.low > 3 * delta else "mild"


def _gap_evidence(rows: JudgedRows, pair: str, gap: _Gap, *, delta: float) -> Evidence:
    found = gap.estimate
    return Evidence(
        metric="pretext_gap",
        params={"pair": pair, "k": 1},
        space=rows.space,
        split=f"{TRAIN} - {rows.split}",
        value=found.value,
        ci_low=found.low,
        ci_high=found.high,
        ci_method=gap.method,
        threshold=delta,
        against_what="train split",
        reading=found.reading(delta, above="for"),
        sentence=f"Instance discrimination ({pair}) is {abs(100 * found.value):.1f} points "
        f"{'better' if found.value >= 0.0 else 'worse'} on train.",
    )


def _context(rows: JudgedRows) -> list[Evidence]:
    """Return the alignment of both splits: views of train images much closer than of unseen ones point the same way."""
    found: list[Evidence] = []
    for split in (TRAIN, rows.split) if rows.has_train else (rows.split,):
        row: MetricRow | None = rows.find("alignment", split=split, pair=PAIRS[0])
        if row is not None and row.value is not None:
            views = "Views" if split == UNKNOWN else f"Views of {split} images"
            sentence = f"{views} lie at a mean squared distance of {row.value:.3f} from their originals."
            found.append(evidence_from(row, reading="neutral", sentence=sentence, against_what="context"))
    return found
