"""What the differences of two encoders amount to: one answer a question, each with its size and adjusted p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from repdiag.diagnosis.compared import Change, Compared
from repdiag.diagnosis.thresholds import DEFAULT_THRESHOLDS
from repdiag.metrics.inference import holm

Question = Literal["over_clustering", "grouping", "overfitting", "accuracy"]
ALPHA = 0.05
NOT_TOLD_APART = "not told apart"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The answer to one question of the first encoder against the second, from the change of one measure.

    `size` with its 95 % interval is the ratio of granularities for "over_clustering", else a difference. `kinds` are
    "pretext" and "labels" where the first is more (or less) overfitted. `p_holm` is adjusted over the questions.
    """

    question: Question
    answer: str
    measure: str
    size: float
    ci_low: float
    ci_high: float
    p_value: float
    p_holm: float
    kinds: tuple[str, ...] = ()


def answers(compared: Compared) -> list[Answer]:
    """Answer every question that has a measure; Holm's correction is over these.

    more / less over-clustered: granularity is finer (coarser) and locality or R-precision is worse (better). The finer
    one must not have its peak where several classes share a cluster: behind it a flat curve looks fine. Finer or
    coarser alone are answers of their own: merged classes lower locality as islands do, and islands may keep together.
    better / worse: R-precision ("grouping"), kNN accuracy or precision at 1 ("accuracy"). more / less overfitted: the
    label gap or the pretext gap is larger; where they contradict one another, as for a memoriser, the labels decide.
    """
    found = [
        (question, _of(compared, *measures))
        for question, measures in (
            ("over_clustering", ("granularity",)),
            ("grouping", ("r_precision",)),
            ("overfitting", ("label_gap", "pretext_gap")),
            ("accuracy", ("knn_accuracy", "precision_at_1")),
        )
    ]
    known = [(question, changes) for question, changes in found if changes]
    raw = [_p_value(question, changes) for question, changes in known]
    return [
        _answer(question, changes, compared, p_value=p_value, p_holm=p_holm)
        for (question, changes), p_value, p_holm in zip(known, raw, holm(raw), strict=True)
    ]


def _of(compared: Compared, *measures: str) -> list[Change]:
    return [compared.changes[measure] for measure in measures if measure in compared.changes]


def _p_value(question: str, changes: list[Change]) -> float:
    """Return that of the first measure; of two gaps the smaller, doubled."""
    if question != "overfitting":
        return changes[0].p_value
    return min(1.0, len(changes) * min(change.p_value for change in changes))


def _answer(question: str, changes: list[Change], compared: Compared, *, p_value: float, p_holm: float) -> Answer:
    differs = p_holm <= ALPHA
    change, said, kinds = changes[0], NOT_TOLD_APART, tuple[str, ...]()
    if question == "over_clustering":
        said = _granularity_said(change, compared) if differs else said
    elif question == "overfitting":
        clear = [each for each in changes if each.p_value <= ALPHA / len(changes)]
        change = clear[0] if differs and clear else min(changes, key=lambda each: each.p_value)
        kinds = tuple(each.measure.removesuffix("_gap") for each in clear if each.change * change.change > 0.0)
        kinds = tuple("labels" if kind == "label" else kind for kind in kinds) if differs else ()
        said = ("more overfitted" if change.change > 0.0 else "less overfitted") if differs else said
    else:
        said = ("better" if change.change > 0.0 else "worse") if differs else said
    shown = change.change, change.ci_low, change.ci_high
    size, low, high = map(math.exp, shown) if change.measure == "granularity" else shown
    return Answer(
        question=question,  # type: ignore[arg-type]
        answer=said,
        measure=change.measure,
        size=size,
        ci_low=low,
        ci_high=high,
        p_value=p_value,
        p_holm=p_holm,
        kinds=kinds,
    )


def _granularity_said(granularity: Change, compared: Compared) -> str:
    """Say finer or coarser, and more or less over-clustered where neighbourhoods of the classes go with it."""
    finer = granularity.change > 0.0
    if granularity.peaks is not None and granularity.peaks[0 if finer else 1] < DEFAULT_THRESHOLDS.under_granularity:
        return NOT_TOLD_APART  # a curve that is flat behind an early peak: its classes are merged, not cut into pieces
    beside = [change for change in _of(compared, "locality", "r_precision") if (change.change < 0.0) == finer]
    if beside and 2.0 * min(change.p_value for change in beside) <= ALPHA:
        return "more over-clustered" if finer else "less over-clustered"
    return "finer" if finer else "coarser"
