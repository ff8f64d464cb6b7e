"""Which answers are right for a planted encoder: from how it was made, and from the numbers of all its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OVER, NOT_OVER, UNDER = "over-clustered", "not over-clustered", "under-clustered"
OVERFITTING, NO_OVERFITTING = "overfitting", "no overfitting"
COLLAPSED, NOT_COLLAPSED = "collapsed", "not collapsed"
# Points of a gap: below the first there is none, above the second it is one, between either may be said.
NONE_BELOW, SOME_ABOVE, CLEAR_ABOVE = 0.02, 0.05, 0.10
APART = 0.03  # a difference of two encoders that a table of theirs would show
BY_LABELS = "labels"
Truth = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The right answers to one question; `clear` where the fault, or its absence, is beyond doubt."""

    question: str
    right: tuple[str, ...]
    clear: bool


def absolute(truth: Truth, *, joined: bool = False) -> list[Expected]:
    """Return what is right of one encoder; with `joined`, of the same one where labels join two unrelated classes."""
    if joined:
        return [Expected(question="over_clustering", right=(OVER,), clear=True)]
    found = [_overfitting(truth)] if not truth["cone"] and truth["scaling"] == "own" and truth["epochs"] else []
    kind, cosine = truth["kind"], truth["mean_cosine"]
    if kind == "healthy" and truth["method"] == BY_LABELS:
        found.append(Expected(question="over_clustering", right=(NOT_OVER,), clear=True))
    if kind == "finer labels (apart)":
        found.append(Expected(question="over_clustering", right=(OVER,), clear=truth["group_share"] > 0.4))
    if kind == "merged labels":
        found.append(Expected(question="over_clustering", right=(UNDER, NOT_OVER), clear=True))
    if kind in ("complete collapse", "dimensional collapse", "cone collapse") or cosine > 0.97:
        found.append(Expected(question="collapse", right=(COLLAPSED,), clear=True))
    elif kind == "healthy" and cosine < 0.9:
        found.append(Expected(question="collapse", right=(NOT_COLLAPSED,), clear=True))
    return found


def compared(truth: Truth, sibling: Truth) -> list[Expected]:
    """Return what is right of an encoder against its sibling, which differs in the fault alone."""
    found = []
    kind = truth["kind"]
    if kind == "finer labels (overlapping)":
        right = ("more over-clustered", "finer")
        found.append(Expected(question="over_clustering", right=right, clear=truth["strength"] >= 4))
    if kind == "merged labels":
        found.append(Expected(question="over_clustering", right=("less over-clustered", "coarser"), clear=True))
    if kind == "healthy":
        found.append(Expected(question="over_clustering", right=("not told apart",), clear=True))
    for question, number in (("grouping", "r_precision"), ("accuracy", "precision_at_1")):
        size = truth[number] - sibling[number]
        also = truth["ridge_probe"] - sibling["ridge_probe"] if question == "accuracy" else size
        if abs(size) >= APART and size * also > 0.0:
            right = ("better",) if size > 0.0 else ("worse",)
            found.append(Expected(question=question, right=right, clear=abs(size) >= 2 * APART))
    size = gap_of(truth) - gap_of(sibling)
    if abs(size) >= SOME_ABOVE and truth["epochs"] and not truth["cone"]:
        right = ("more overfitted",) if size > 0.0 else ("less overfitted",)
        found.append(Expected(question="overfitting", right=right, clear=abs(size) >= CLEAR_ABOVE))
    return found


def gap_of(truth: Truth) -> float:
    """Return the larger of the gaps that the encoder's way of training makes sense of."""
    gaps = [float(truth["label_gap"])]
    if truth["method"] != BY_LABELS:
        gaps += [float(truth["pretext_gap"])]
    return max(gaps)


def _overfitting(truth: Truth) -> Expected:
    gap = gap_of(truth)
    if gap > SOME_ABOVE:
        return Expected(question="overfitting", right=(OVERFITTING,), clear=gap > CLEAR_ABOVE)
    if gap < NONE_BELOW:
        return Expected(question="overfitting", right=(NO_OVERFITTING,), clear=True)
    return Expected(question="overfitting", right=(OVERFITTING, NO_OVERFITTING), clear=True)
