"""The nouns of a judgement: a piece of evidence, a finding with its verdict, and the whole diagnosis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from repdiag.diagnosis.coded import CodedFinding

Reading = Literal["for", "against", "neutral"]
# A grade, or the range of grades that an interval touches: "none", "none or mild", "mild to severe"; "unknown" without.
Severity = str
GRADES = ("none", "mild", "marked", "severe")

INCONCLUSIVE = "inconclusive"
OVER, NOT_OVER, UNDER = "over-clustered", "not over-clustered", "under-clustered"
OVERFITTING, NO_OVERFITTING = "overfitting", "no overfitting"
COLLAPSED, NOT_COLLAPSED = "collapsed", "not collapsed"
FAULTS = (OVER, UNDER, OVERFITTING, COLLAPSED)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One number and what it says about the finding's question.

    `reading` is "for" or "against" the fault; "neutral" means that the interval contains the threshold, or that the
    number only gives context. `against_what` names the comparison: a threshold, permuted labels, the untrained copy, a
    reference checkpoint, the train split.
    """

    metric: str
    params: Mapping[str, Any] = field(default_factory=dict)
    space: str
    split: str
    value: float | None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_method: str | None = None
    threshold: float | None = None
    against_what: str = "threshold"
    reading: Reading
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Something to try, why, the source, and its limits."""

    what: str
    because: str
    reference: str
    limits: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Finding:
    """The answer to one question about a space.

    `verdict` is one of the legal answers of its question; `summary` says it in one sentence; `severity` grades a
    fault ("none" if there is none, "unknown" if the verdict is inconclusive); `thresholds` are those used.
    `split_classes` gives the number of groups of each split class.
    """

    question: str
    verdict: str
    severity: Severity
    summary: str
    evidence: tuple[Evidence, ...]
    thresholds: Mapping[str, float]
    advice: tuple[Advice, ...] = ()
    split_classes: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.verdict}: {self.summary}"

    @property
    def conclusive(self) -> bool:
        """Return whether the evidence sufficed for an answer."""
        return self.verdict != INCONCLUSIVE

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, repr=False)
class CollapseFinding(Finding):
    """The answer about collapse, with one finding a kind: complete, cone, dimensional."""

    complete: Finding
    cone: Finding
    dimensional: Finding

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of collapse that were found."""
        named = (("complete", self.complete), ("cone", self.cone), ("dimensional", self.dimensional))
        return tuple(name for name, finding in named if finding.verdict == COLLAPSED)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the kinds that were found."""
        return {**asdict(self), "kinds": list(self.kinds)}


@dataclass(frozen=True, kw_only=True, repr=False)
class OverfittingFinding(Finding):
    """The answer about overfitting, with one finding a kind that could be asked: the pretext task, the labels."""

    pretext: Finding | None = None
    labels: Finding | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds of overfitting that were found, of "pretext" and "labels"."""
        named = (("pretext", self.pretext), ("labels", self.labels))
        return tuple(name for name, finding in named if finding is not None and finding.verdict == OVERFITTING)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, with the kinds that were found."""
        return {**asdict(self), "kinds": list(self.kinds)}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the classes are grouped beside another encoder, on the same rows.

    `against` names the other one; `verdict` is "better grouped", "worse grouped", "mixed" or "indistinguishable";
    `sentence` says by how much. It never turns the verdict of a finding.
    """

    against: str
    verdict: str
    sentence: str


@dataclass(frozen=True, kw_only=True, repr=False)
class Diagnosis:
    """The judgement of one encoder on one dataset in one space; `standings` compare it with other encoders.

    `findings` lists every finding and every open question, each with a stable code. `checks` are the findings that
    belong to no question: preprocessing, rows worth a look. `muted` codes are left out.

    Example:
        >>> import numpy as np, repdiag
        >>> rows = np.random.default_rng(0).normal(size=(60, 4))
        >>> found = repdiag.diagnose(rows)
        >>> found.collapse.verdict
        'not collapsed'
        >>> repdiag.Diagnosis.from_dict(found.to_dict()) == found
        True
    """

    checkpoint: str
    epoch: int | None
    dataset: str
    space: str
    over_clustering: Finding
    overfitting: OverfittingFinding
    collapse: CollapseFinding
    standings: tuple[Standing, ...] = ()
    checks: tuple[CodedFinding, ...] = ()
    muted: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[str, Finding]]:
        yield "over_clustering", self.over_clustering
        yield "overfitting", self.overfitting
        yield "collapse", self.collapse

    @property
    def faults(self) -> tuple[str, ...]:
        """Return the verdicts that name a fault, with the kinds of collapse; empty for a healthy space."""
        named = [finding.verdict for _, finding in self if finding.verdict in FAULTS and finding is not self.collapse]
        return (*named, *(f"{kind} collapse" for kind in self.collapse.kinds))

    @property
    def findings(self) -> tuple[CodedFinding, ...]:
        """Return every finding and open question, each with its code, number, threshold and advice."""
        from repdiag.diagnosis.coded import coded_findings

        return coded_findings(self)

    @property
    def summary(self) -> str:
        """Return the judgement in one sentence."""
        from repdiag.diagnosis.one_sentence import one_sentence

        return one_sentence(self)

    def mute(self, codes: str | Sequence[str]) -> Diagnosis:
        """Return the diagnosis without the findings of these codes ("RD503"); the numbers stay as they are."""
        from repdiag.diagnosis.codes import check_codes

        return replace(self, muted=tuple(dict.fromkeys((*self.muted, *check_codes(codes)))))

    def with_checks(self, checks: Sequence[CodedFinding]) -> Diagnosis:
        """Return the diagnosis with further findings that belong to no question."""
        return replace(self, checks=(*self.checks, *checks))

    def __repr__(self) -> str:
        lines = [f"{name.replace('_', '-')}: {finding.verdict}\n  {finding.summary}" for name, finding in self]
        return "\n".join([f"{self.checkpoint} on {self.dataset}: {self.summary}", *lines, *self._standing_lines()])

    def _repr_html_(self) -> str:
        from repdiag.core.html_table import html_table

        rows = [(name.replace("_", "-"), finding.verdict, finding.summary) for name, finding in self]
        below = " ".join(self._standing_lines())
        return html_table(("question", "answer", "why"), rows, title=f"{self.checkpoint}: {self.summary}", below=below)

    def _standing_lines(self) -> list[str]:
        return [standing.sentence for standing in self.standings]

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Diagnosis:
        """Return the diagnosis that `to_dict` wrote."""
        collapse = stored["collapse"]
        return cls(
            **{name: stored[name] for name in ("checkpoint", "epoch", "dataset", "space")},
            over_clustering=_finding(stored["over_clustering"]),
            overfitting=_overfitting(stored["overfitting"]),
            collapse=CollapseFinding(
                **_parts(collapse),
                complete=_finding(collapse["complete"]),
                cone=_finding(collapse["cone"]),
                dimensional=_finding(collapse["dimensional"]),
            ),
            standings=tuple(Standing(**item) for item in stored.get("standings", ())),
            checks=tuple(_check(item) for item in stored.get("checks", ())),
            muted=tuple(stored.get("muted", ())),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the verdict first."""
        where = {name: getattr(self, name) for name in ("checkpoint", "epoch", "dataset", "space")}
        head = {**where, "summary": self.summary, "faults": list(self.faults)}
        found = {name: finding.to_dict() for name, finding in self}
        return {
            **head,
            "findings": [item.to_dict() for item in self.findings],
            **found,
            "standings": [asdict(standing) for standing in self.standings],
            "checks": [item.to_dict() for item in self.checks],
            "muted": list(self.muted),
        }


def _check(stored: Mapping[str, Any]) -> CodedFinding:
    from repdiag.diagnosis.coded import from_stored

    return from_stored(stored, tuple(Advice(**item) for item in stored["advice"]))


def _finding(stored: Mapping[str, Any]) -> Finding:
    return Finding(**_parts(stored))


def _overfitting(stored: Mapping[str, Any]) -> OverfittingFinding:
    kinds = {kind: stored.get(kind) for kind in ("pretext", "labels")}  # results of before have none
    found = {kind: None if part is None else _finding(part) for kind, part in kinds.items()}
    return OverfittingFinding(**_parts(stored), pretext=found["pretext"], labels=found["labels"])


def _parts(stored: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: stored[name] for name in ("question", "verdict", "severity", "summary", "thresholds")}
    evidence = tuple(Evidence(**item) for item in stored["evidence"])
    plain["split_classes"] = dict(stored.get("split_classes", {}))
    return {**plain, "evidence": evidence, "advice": tuple(Advice(**item) for item in stored["advice"])}
