"""`--fail-on`: what must not be found: a fault, a code, an open question, worse than a reference, a number."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from repdiag.core.errors import UsageError, unknown_name
from repdiag.core.metric_table import MetricTable
from repdiag.diagnosis.codes import CODES
from repdiag.diagnosis.verdict import INCONCLUSIVE, Diagnosis

if TYPE_CHECKING:
    from repdiag.workflows.comparison import Comparison

FAULTS = {
    "over-clustering": ("over_clustering", "over-clustered"),
    "overfitting": ("overfitting", "overfitting"),
    "collapse": ("collapse", "collapsed"),
}
_WORDS = (*FAULTS, "inconclusive", "worse-than-reference")
_NUMBER = re.compile(r"^(?P<metric>[a-z0-9_]+)(?:\.(?P<end>low|high))?(?P<sign><=|>=|<|>)(?P<limit>[-+.0-9eE]+)$")
_HELP = "a number is metric<limit, such as knn_accuracy<0.80; metric.low or metric.high is an end of its interval"
State = Literal["holds", "failed", "undecided"]


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One gate: a word, or a metric, the end of its interval that counts, a sign and a limit; true means failed."""

    text: str
    metric: str | None = None
    end: str | None = None
    sign: str = ""
    limit: float = 0.0


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """What became of a gate: "undecided" where the interval holds the limit, or there is nothing to look at."""

    gate: Gate
    checkpoint: str
    state: State
    sentence: str


def parse_gates(text: str | None) -> tuple[Gate, ...]:
    """Return the gates of a comma-separated list; an unknown word gets the nearest one.

    Example:
        >>> [gate.metric for gate in parse_gates("collapse, knn_accuracy.low<0.8")]
        [None, 'knn_accuracy']
    """
    return tuple(_gate(part.strip()) for part in (text or "").split(",") if part.strip())


def check_gates(
    gates: tuple[Gate, ...], diagnosis: Diagnosis, table: MetricTable, *, referenced: bool
) -> tuple[GateResult, ...]:
    """Return what became of every gate for one encoder, whose rows of features on val the table holds.

    Raises `UsageError` for a gate on a metric that was not computed, and for worse-than-reference without a reference.
    """
    return tuple(_checked(gate, diagnosis, table, referenced=referenced) for gate in gates)


def check_comparison(gates: tuple[Gate, ...], found: Comparison) -> Iterator[GateResult]:
    """Yield what became of every gate for every checkpoint but the reference."""
    for name, diagnosis in found.diagnoses.items():
        if name != found.reference:
            rows = found.table.where(checkpoint=name)
            yield from check_gates(gates, diagnosis, rows, referenced=found.reference is not None)


def _gate(text: str) -> Gate:
    if text in _WORDS:
        return Gate(text=text)
    if text.upper() in CODES:
        return Gate(text=text.upper())
    found = _NUMBER.match(text)
    if found is None:
        if any(sign in text for sign in "<>="):
            raise UsageError(f"cannot read the gate {text!r}", hint=_HELP)
        raise unknown_name("gate", text, _WORDS, hint=_HELP)
    from repdiag.metrics.registry import get

    metric = get(found["metric"]).name
    try:
        limit = float(found["limit"])
    except ValueError:
        raise UsageError(f"cannot read the gate {text!r}", hint=_HELP) from None
    return Gate(text=text, metric=metric, end=found["end"], sign=found["sign"], limit=limit)


def _checked(gate: Gate, diagnosis: Diagnosis, table: MetricTable, *, referenced: bool) -> GateResult:
    name = diagnosis.checkpoint
    if gate.metric is not None:
        state, sentence = number_state(gate, table)
    elif gate.text in CODES:
        told = [item for item in diagnosis.findings if item.code == gate.text]
        state, sentence = ("failed", told[0].sentence) if told else ("holds", f"{CODES[gate.text].title}: not found")
    elif gate.text == "inconclusive":
        asked = {CODES[item.code].question for item in diagnosis.findings if item.is_open}
        open_ones = [question.replace("_", "-") for question, _ in diagnosis if question in asked]
        state = "failed" if open_ones else "holds"
        sentence = f"inconclusive about {', '.join(open_ones)}" if open_ones else "every question has an answer"
    elif gate.text == "worse-than-reference":
        if not referenced:
            raise UsageError("the gate worse-than-reference needs a reference", hint="name one with --reference")
        worse = [
            item for item in diagnosis.standings if item.verdict == "worse grouped" and "reference" in item.against
        ]
        state, sentence = ("failed", worse[0].sentence) if worse else ("holds", "not worse than the reference")
    else:
        question, fault = FAULTS[gate.text]
        finding = getattr(diagnosis, question)
        told = [item for item in diagnosis.findings if CODES[item.code].question == question]
        if finding.verdict in (fault, INCONCLUSIVE) and not told:
            return GateResult(gate=gate, checkpoint=name, state="holds", sentence=f"{gate.text}: muted")
        state = "failed" if finding.verdict == fault else "undecided" if finding.verdict == INCONCLUSIVE else "holds"
        sentence = f"{gate.text} found" if state == "failed" else f"{gate.text}: {finding.verdict}"
    return GateResult(gate=gate, checkpoint=name, state=state, sentence=sentence)


def number_state(gate: Gate, table: MetricTable) -> tuple[State, str]:
    """Return what became of a gate on a number, and the number with its interval."""
    rows = table.where(metric=gate.metric, space="features", split="val").rows or table.where(metric=gate.metric).rows
    row = next((row for row in rows if row.value is not None), None)
    if row is None or row.value is None:
        reason = rows[0].reason if rows else "it was not computed"
        raise UsageError(f"the gate {gate.text} cannot be checked", found=str(reason))
    ends = {"low": row.ci_low, "high": row.ci_high, None: row.value}
    value = ends[gate.end]
    if value is None:
        raise UsageError(f"the gate {gate.text} cannot be checked", found="the value has no interval")
    failed = _compares(value, gate)
    shown = f"{gate.metric} {row.value:.4g}"
    if row.ci_low is not None and row.ci_high is not None:
        shown += f" [{row.ci_low:.4g}, {row.ci_high:.4g}]"
        straddles = _compares(row.ci_low, gate) != _compares(row.ci_high, gate)
        if straddles and gate.end is None and not failed:
            return "undecided", f"{shown}: the interval contains {gate.limit:g}, these rows cannot decide"
    return ("failed" if failed else "holds"), shown


def _compares(value: float, gate: Gate) -> bool:
    return {
        "<": value < gate.limit,
        "<=": value <= gate.limit,
        ">": value > gate.limit,
        ">=": value >= gate.limit,
    }[gate.sign]
