"""A diagnosis in one sentence: what is wrong first, then what is fine with its bound, then what stays open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from repdiag.diagnosis.verdict import Diagnosis, Finding, OverfittingFinding

_NAMED = 3  # classes that the sentence names
_FAULT, _FINE, _OPEN = range(3)
_GAPS = {"pretext_gap": "pretext", "classifier_gap": "classifier's", "probe_gap": "probe", "label_gap": "label"}
# What makes every other answer worthless comes before all of them.
_FIRST = {
    "RD401": "the images are not preprocessed as in training; fix this first",
    "RD402": "the checkpoint's own classifier does not fit these labels; fix this first",
}


def one_sentence(diagnosis: Diagnosis) -> str:
    """Return the judgement in one sentence; what was muted is not in it."""
    found = {item.code for item in diagnosis.findings}
    clauses = [(_FAULT, said) for code, said in _FIRST.items() if code in found]
    clauses += [*_over_clustering(diagnosis, found), *_overfitting(diagnosis, found), *_collapse(diagnosis, found)]
    ordered = sorted(clauses, key=lambda clause: clause[0])
    said = "; ".join(text for _, text in ordered)
    if not any(kind == _FAULT for kind, _ in clauses):
        fine = any(kind == _FINE for kind, _ in clauses)
        said = f"no fault found: {said}" if fine else said
    return f"{said[:1].upper()}{said[1:]}."


def _over_clustering(diagnosis: Diagnosis, found: set[str]) -> Iterator[tuple[int, str]]:
    finding = diagnosis.over_clustering
    if finding.verdict == "over-clustered" and "RD101" in found:
        yield _FAULT, f"over-clustered{_split(finding)}"
    elif finding.verdict == "under-clustered" and "RD102" in found:
        yield _FAULT, "under-clustered: several classes share a cluster"
    elif finding.verdict == "inconclusive" and "RD103" in found:
        yield _OPEN, "over-clustering is open"
    elif finding.verdict == "not over-clustered":
        named = "RD104" in found and finding.split_classes
        yield _FINE, f"not over-clustered{_split(finding).replace(': ', ', but ') if named else ''}"


def _split(finding: Finding) -> str:
    names = list(finding.split_classes)
    if not names:
        return ""
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    return f": {shown} {'falls' if len(names) == 1 else 'fall'} into separate groups"


def _overfitting(diagnosis: Diagnosis, found: set[str]) -> Iterator[tuple[int, str]]:
    finding = diagnosis.overfitting
    muted = {"pretext": "RD201" not in found, "labels": "RD202" not in found}
    kinds = [kind for kind in finding.kinds if not muted[kind]]
    if kinds:
        tasks = {"pretext": "the pretext task", "labels": "the labels"}
        yield _FAULT, f"overfits {' and '.join(tasks[kind] for kind in kinds)}"
    elif finding.verdict == "overfitting" and not finding.kinds and "RD201" in found:
        yield _FAULT, "overfits"
    elif finding.verdict == "no overfitting":
        yield _FINE, f"no overfitting{_bound(finding)}"
    elif finding.verdict == "inconclusive" and "RD203" in found:
        judged = finding.pretext is not None or finding.labels is not None
        yield _OPEN, f"overfitting is open{_bound(finding)}" if judged else "overfitting cannot be judged"


def _bound(finding: OverfittingFinding) -> str:
    asked = [kind for kind in (finding.pretext, finding.labels) if kind is not None] or [finding]
    ends = {
        name: max(item.ci_high or 0.0, 0.0)
        for name in _GAPS
        for item in [item for kind in asked for item in kind.evidence][::-1]
        if item.metric == name and item.ci_high is not None
    }
    said = [f"{_GAPS[name]} gap at most {100 * high:.1f} points" for name, high in ends.items()]
    return f" ({', '.join(said)})" if said else ""


def _collapse(diagnosis: Diagnosis, found: set[str]) -> Iterator[tuple[int, str]]:
    codes = {"complete": "RD301", "cone": "RD302", "dimensional": "RD303"}
    kinds = [kind for kind in diagnosis.collapse.kinds if codes[kind] in found]
    if kinds:
        yield _FAULT, f"{' and '.join(kinds)} collapse"
    elif diagnosis.collapse.verdict == "inconclusive" and "RD304" in found:
        yield _OPEN, "collapse is open"
    elif diagnosis.collapse.verdict == "not collapsed":
        yield _FINE, "no collapse"
