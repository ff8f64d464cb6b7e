"""From the numbers of two encoders to one of a few answers: same space, re-index, same classes, changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from repdiag.core.numbers import show_interval, show_value
from repdiag.diagnosis.drift.measure import ClassRetrieval, DriftNumbers
from repdiag.diagnosis.drift.thresholds import DriftThresholds

SAME_SPACE = "same space"
SAME_NEIGHBOURHOODS = "same neighbourhoods, re-index"
SAME_CLASSES = "same classes, other neighbours"
OTHER_NEIGHBOURS = "other neighbours"
CHANGED = "changed"
VERDICTS = (SAME_SPACE, SAME_NEIGHBOURHOODS, SAME_CLASSES, OTHER_NEIGHBOURS, CHANGED)
"""From the mildest on. "other neighbours" is what can be said where there are no classes to ask."""

ADVICE = {
    SAME_SPACE: "Keep the stored vectors and thresholds; there is nothing to do.",
    SAME_NEIGHBOURHOODS: "Embed the gallery again with the new encoder: old and new vectors do not mix.",
    SAME_CLASSES: "Keep a classifier, but expect other rows from a search, a clustering or a list of duplicates.",
    OTHER_NEIGHBOURS: "A search will show other rows. Give labels to learn whether the classes are still the same.",
    CHANGED: "Do not replace the old encoder before you have tested everything that depends on it.",
}


@dataclass(frozen=True, kw_only=True)
class DriftFinding:
    """The verdict on two encoders: why, what to do, whether these rows suffice, and the thresholds behind it."""

    verdict: str
    conclusive: bool
    reasons: tuple[str, ...]
    advice: str
    thresholds: DriftThresholds = field(default_factory=DriftThresholds)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return {
            "verdict": self.verdict,
            "conclusive": self.conclusive,
            "reasons": list(self.reasons),
            "advice": self.advice,
            "thresholds": self.thresholds.to_dict(),
        }


def judge_drift(numbers: DriftNumbers, thresholds: DriftThresholds | None = None) -> DriftFinding:
    """Return the verdict of a pair's numbers.

    "same space": nearest rows, and what new queries find in the old gallery, are the same for `same_nearest` and
    `cross_found` of the rows. "same neighbourhoods, re-index": nearest rows and the ten nearest are kept, old and new
    vectors do not mix. Otherwise the classes decide: "changed" where precision at 1 lost `class_loss` or more and the
    paired interval leaves zero below; "same classes, other neighbours" where it did not. Without classes that say
    something: "other neighbours", or "changed" where hardly more neighbours are kept than by chance.
    """
    limits = thresholds or DriftThresholds()
    nearest, ten = _share(numbers, "neighbors_kept", k=1), _share(numbers, "neighbors_kept", k=10)
    cross = _share(numbers, "cross_gallery", rotated=False)
    reasons = _about_neighbours(numbers)
    alike = nearest is not None and nearest >= limits.kept_nearest and (ten is None or ten >= limits.kept_ten)
    if alike and nearest is not None and nearest >= limits.same_nearest and (cross or 0.0) >= limits.cross_found:
        sure = _is_sure(numbers, limits.same_nearest, "neighbors_kept", k=1)
        return _found(SAME_SPACE, sure, reasons, limits)
    classes = numbers.classes
    says = classes is not None and classes.old >= min(0.9, limits.class_signal * classes.chance)
    if alike and not (says and classes is not None and _is_lost(classes, limits)):
        sure = _is_sure(numbers, limits.kept_nearest, "neighbors_kept", k=1)
        return _found(SAME_NEIGHBOURHOODS, sure, reasons, limits)
    if classes is not None and says:
        reasons = (*reasons, _about_classes(classes))
        lost = _is_lost(classes, limits)
        inside = classes.test.ci_low > -limits.class_loss or lost
        return _found(CHANGED if lost else SAME_CLASSES, inside, reasons, limits)
    chance = 10.0 / max(1, len(numbers.rows) - 1)
    unrelated = ten is not None and ten < chance + limits.unrelated_ten
    if classes is not None:
        shown = show_value(classes.old, percent=True)
        reasons = (*reasons, f"the old encoder finds the class of only {shown}, so classes cannot judge this pair")
    return _found(CHANGED if unrelated else OTHER_NEIGHBOURS, True, reasons, limits)


def _found(verdict: str, sure: bool, reasons: tuple[str, ...], limits: DriftThresholds) -> DriftFinding:
    return DriftFinding(verdict=verdict, conclusive=sure, reasons=reasons, advice=ADVICE[verdict], thresholds=limits)


def _share(numbers: DriftNumbers, metric: str, **params: Any) -> float | None:
    rows = numbers.table.where(metric=metric, **params).rows
    return rows[0].value if rows else None


def _is_lost(classes: ClassRetrieval, limits: DriftThresholds) -> bool:
    """Say whether so much of class retrieval was lost that it is no chance."""
    return classes.new - classes.old <= -limits.class_loss and classes.test.ci_high < 0.0


def _is_sure(numbers: DriftNumbers, limit: float, metric: str, **params: Any) -> bool:
    """Say whether the interval of a share lies on one side of its limit."""
    (row,) = numbers.table.where(metric=metric, **params).rows
    if row.ci_low is None or row.ci_high is None or row.value is None:
        return False
    return (row.ci_low >= limit) == (row.ci_high >= limit)


def _about_neighbours(numbers: DriftNumbers) -> tuple[str, ...]:
    said = []
    sentences = {
        ("neighbors_kept", "k", 1): "the nearest row is the same for {}",
        ("neighbors_kept", "k", 10): "{} of the ten nearest rows are kept",
        ("cross_gallery", "rotated", False): "new queries find the old nearest row in the old gallery for {}",
        ("cross_gallery", "rotated", True): "after the best rotation they find it for {}",
    }
    for (metric, setting, value), sentence in sentences.items():
        for row in numbers.table.where(metric=metric, **{setting: value}):
            if row.value is not None:
                interval = show_interval(row.ci_low, row.ci_high, percent=True)
                said.append(sentence.format(f"{show_value(row.value, percent=True)} {interval}".strip()))
            elif metric == "cross_gallery" and row.reason:
                said.append(row.reason)
    return tuple(said)


def _about_classes(classes: ClassRetrieval) -> str:
    old, new = show_value(classes.old, percent=True), show_value(classes.new, percent=True)
    interval = show_interval(classes.test.ci_low, classes.test.ci_high, percent=True)
    return f"the nearest row shares the class for {old} before and {new} after, a difference of {interval} points"
