"""Overfitting: does the encoder tell train images apart, or find their classes, better than with new images?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from repdiag.core.metric_table import MetricRow
from repdiag.core.provenance import UNKNOWN
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.grades import grade_range, rows_to_decide
from repdiag.diagnosis.intervals import SQUARE_AND_ADD, Estimate, difference, proportion, wilson
from repdiag.diagnosis.rows import TRAIN, JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import (
    INCONCLUSIVE,
    NO_OVERFITTING,
    OVERFITTING,
    Evidence,
    Finding,
    OverfittingFinding,
)

PAIRS = ("original-view", "view-view")
_TASK = "instance_discrimination_accuracy"
_NOT_ASKED = "unknown"  # there is nothing to judge from


@dataclass(frozen=True)
class _Gap:
    """The gap with its interval, and how that was made."""

    estimate: Estimate
    method: str


@dataclass(frozen=True, kw_only=True)
class ClassifierTop1:
    """How many images the file's own classifier gets right, of how many, on train and on new images."""

    train: tuple[int, int]
    val: tuple[int, int]

    @property
    def gap(self) -> Estimate:
        """Return top-1 on train minus on new images, both with Wilson's intervals."""
        train, val = (wilson(right / total, total) for right, total in (self.train, self.val))
        return difference(train, val)


def judge_overfitting(
    rows: JudgedRows,
    thresholds: Thresholds,
    *,
    trained_with_labels: bool = False,
    top1: ClassifierTop1 | None = None,
) -> OverfittingFinding:
    """Return the finding: of the pretext task from instance discrimination, of the labels from retrieval by class.

    One kind that is found is overfitting; both must be excluded where both could be asked. Of an encoder that was
    trained with labels the pretext task is not asked, where the labels can be: it never had that task; `top1` of its
    own classifier answers for the labels, with the neighbours beside it.
    """
    pretext, labels = _pretext(rows, thresholds), _labels(rows, thresholds, top1)
    if trained_with_labels and labels is not None:
        pretext = replace(pretext, severity=_NOT_ASKED)
    asked = [each for each in (pretext, labels) if each is not None and each.severity != _NOT_ASKED]
    first = next((each for each in asked if each.verdict == OVERFITTING), None)
    unsure = next((each for each in asked if each.verdict == INCONCLUSIVE), None)
    told = first or unsure or (asked[0] if asked else pretext)
    others = [each for each in asked if each is not told and each.verdict != INCONCLUSIVE]
    summary = " ".join([told.summary, *(each.summary for each in others)])
    known = [each for each in (pretext, labels) if each is not None]
    return OverfittingFinding(
        question="Does the encoder know its training images better than new ones?",
        verdict=told.verdict,
        severity="unknown" if told.severity == _NOT_ASKED else told.severity,
        summary=summary,
        evidence=tuple(item for each in known for item in each.evidence),
        thresholds={name: limit for each in known for name, limit in each.thresholds.items()},
        advice=told.advice,
        pretext=None if pretext.severity == _NOT_ASKED else pretext,
        labels=labels,
    )


def _pretext(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Judge the gap in instance discrimination between train and the judged split."""
    limits = (thresholds.overfitting_gap, thresholds.overfitting_marked, thresholds.overfitting_severe)
    evidence: list[Evidence] = []
    first, obstacle = _gap(rows, PAIRS[0])
    if first is not None:
        evidence.append(_gap_evidence(rows, PAIRS[0], first, delta=limits[0]))
    second, _ = _gap(rows, PAIRS[1])
    if second is not None:
        evidence.append(_gap_evidence(rows, PAIRS[1], second, delta=limits[0]))
    evidence += _context(rows)
    used = thresholds.only("overfitting_gap", "overfitting_marked", "overfitting_severe")
    question = "Does the encoder overfit the pretext task?"
    if first is None:
        summary = f"Overfitting cannot be judged: {obstacle}."
        return Finding(
            question=question,
            verdict=INCONCLUSIVE,
            severity=_NOT_ASKED,
            summary=summary,
            evidence=tuple(evidence),
            thresholds=used,
        )
    verdict, summary = decided(first.estimate, limits, what="gap of the pretext task", rows=_count(rows))
    return Finding(
        question=question,
        verdict=verdict,
        severity=grade_range(first.estimate, limits),
        summary=summary,
        evidence=tuple(evidence),
        thresholds=used,
        advice=advice_for(verdict),
    )


def _labels(rows: JudgedRows, thresholds: Thresholds, top1: ClassifierTop1 | None) -> Finding | None:
    """Judge the gap of the labels: of the file's own classifier, else of a linear probe, else of nearest neighbours.

    Those that do not answer stand beside it as evidence. None where there is none of them.
    """
    own = None if top1 is None else _classifier(rows, thresholds, top1)
    probe = _of_row(rows, thresholds, _PROBE)
    neighbours = _of_row(rows, thresholds, _NEIGHBOURS)
    known = [each for each in (own, probe, neighbours) if each is not None]
    if not known:
        return None
    evidence = tuple(item for each in known for item in each.evidence)
    used = {name: limit for each in known for name, limit in each.thresholds.items()}
    return replace(known[0], evidence=evidence, thresholds=used)


def _classifier(rows: JudgedRows, thresholds: Thresholds, top1: ClassifierTop1) -> Finding:
    limits = (thresholds.label_gap, thresholds.label_gap_marked, thresholds.label_gap_severe)
    gap = top1.gap
    verdict, summary = decided(gap, limits, what="gap of the checkpoint's own classifier", rows=top1.val[1])
    train, val = (100 * right / total for right, total in (top1.train, top1.val))
    evidence = Evidence(
        metric="classifier_gap",
        params={},
        space=rows.space,
        split=f"{TRAIN} - {rows.split}",
        value=gap.value,
        ci_low=gap.low,
        ci_high=gap.high,
        ci_method=SQUARE_AND_ADD,
        threshold=limits[0],
        against_what="train split",
        reading=gap.reading(limits[0], above="for"),
        sentence=f"The checkpoint's own classifier is right on {train:.1f} % of train images and {val:.1f} % of new "
        "images.",
    )
    return Finding(
        question="Does the encoder overfit the labels?",
        verdict=verdict,
        severity=grade_range(gap, limits),
        summary=summary,
        evidence=(evidence,),
        thresholds=thresholds.only("label_gap", "label_gap_marked", "label_gap_severe"),
        advice=advice_for(verdict),
    )


@dataclass(frozen=True, kw_only=True)
class _Measured:
    """A gap of the labels that is a row of the table: its metric, its thresholds, and how it is said."""

    metric: str
    params: dict[str, str]
    what: str
    sentence: str


_PROBE = _Measured(
    metric="probe_gap",
    params={},
    what="gap of a linear probe",
    sentence="A linear probe is right {points:.1f} points {more} often on train images that it has not seen.",
)
_NEIGHBOURS = _Measured(
    metric="label_gap",
    params={"of": "precision_at_1"},
    what="gap in nearest neighbours of the same class",
    sentence="The nearest image shares the class {points:.1f} points {more} often on train.",
)


def _of_row(rows: JudgedRows, thresholds: Thresholds, measured: _Measured) -> Finding | None:
    """Judge a gap of the labels that was measured between train and the judged split; None without one."""
    row = None if rows.split == TRAIN else rows.find(measured.metric, **measured.params)
    bounds = None if row is None else interval_of(row)
    if row is None or row.value is None or bounds is None:
        return None
    used = thresholds.only(*(f"{measured.metric}{grade}" for grade in ("", "_marked", "_severe")))
    limits = (used[measured.metric], used[f"{measured.metric}_marked"], used[f"{measured.metric}_severe"])
    found = Estimate(row.value, *bounds)
    verdict, summary = decided(found, limits, what=measured.what, rows=row.n)
    more = "more" if row.value >= 0.0 else "less"
    evidence = evidence_from(
        row,
        reading=found.reading(limits[0], above="for"),
        sentence=measured.sentence.format(points=abs(100 * row.value), more=more),
        threshold=limits[0],
        against_what="train split",
    )
    return Finding(
        question="Does the encoder overfit the labels?",
        verdict=verdict,
        severity=grade_range(found, limits),
        summary=summary,
        evidence=(evidence,),
        thresholds=used,
        advice=advice_for(verdict),
    )


def decided(gap: Estimate, limits: tuple[float, float, float], *, what: str, rows: int) -> tuple[str, str]:
    """Return verdict and sentence: what the interval excludes, and where it excludes too little, what would decide."""
    none, marked = limits[0], max(limits[0], limits[1])
    shown = f"{100 * gap.value:+.1f} points [{100 * gap.low:+.1f}, {100 * gap.high:+.1f}]"
    least, most = f"{100 * gap.low:.1f}", f"{100 * max(gap.high, 0.0):.1f}"
    if gap.low > none:
        return (
            OVERFITTING,
            f"The {what} is {shown}: at least {least} points, above the limit of {100 * none:g}.",
        )
    if gap.high < none:
        return NO_OVERFITTING, f"No relevant overfitting: the {what} is {shown}, at most {most} points."
    if gap.high < marked:
        return NO_OVERFITTING, f"None or mild overfitting: the {what} is {shown}, at most {most} points."
    needed = rows_to_decide(gap, rows=rows, none=none, marked=marked)
    more = (
        ""
        if needed is None
        else f" If the gap is really {100 * gap.value:+.1f}, about {needed:,} images would settle it."
    )
    return (
        INCONCLUSIVE,
        f"The {what} is {shown}: a gap above {most} points is excluded, but one of {100 * none:g} points is not.{more}",
    )


def _count(rows: JudgedRows) -> int:
    row = rows.find("pretext_gap") or rows.find(_TASK)
    return 0 if row is None else row.n


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
        return None, "there are no train rows for comparison"
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
