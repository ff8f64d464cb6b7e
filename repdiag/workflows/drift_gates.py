"""`drift --fail-on`: numbers of the pair, or the mildest verdict that is too much; and a JUnit file of what became of
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as Xml

from repdiag.core.errors import UsageError, unknown_name
from repdiag.core.printable import printable
from repdiag.diagnosis.drift.verdict import CHANGED, OTHER_NEIGHBOURS, SAME_NEIGHBOURHOODS, VERDICTS
from repdiag.workflows.gates import Gate, GateResult, number_state, parse_gates

if TYPE_CHECKING:
    from repdiag.workflows.drift_result import Drift

WORDS = {"re-index": SAME_NEIGHBOURHOODS, "other-neighbours": "same classes, other neighbours", "changed": CHANGED}
"""The mildest verdict at which each word fails."""
_SIGNS = "<>="


def parse_drift_gates(text: str | None) -> tuple[Gate, ...]:
    """Return the gates of a comma-separated list: metrics with a limit, or words; an unknown word gets the nearest.

    Example:
        >>> [gate.metric for gate in parse_drift_gates("neighbors_kept<0.95, changed")]
        ['neighbors_kept', None]
    """
    found: list[Gate] = []
    for part in (text or "").split(","):
        word = part.strip()
        if not word:
            continue
        if any(sign in word for sign in _SIGNS):
            found += parse_gates(word)
        elif word in WORDS:
            found.append(Gate(text=word))
        else:
            raise unknown_name("gate", word, WORDS, hint="or a number, such as neighbors_kept<0.95")
    return tuple(found)


def check_drift_gates(gates: tuple[Gate, ...], drift: Drift) -> tuple[GateResult, ...]:
    """Return what became of every gate; raises `UsageError` for a number that the pair does not have."""
    return tuple(_checked(gate, drift) for gate in gates)


def _checked(gate: Gate, drift: Drift) -> GateResult:
    finding = drift.finding
    if gate.metric is not None:
        if not drift.table.where(metric=gate.metric):
            known = ", ".join(drift.table.names())
            raise UsageError(f"{gate.metric} is not a metric of a pair of encoders", hint=f"one of: {known}")
        state, sentence = number_state(gate, drift.table)
    elif finding.verdict == OTHER_NEIGHBOURS and gate.text == "changed":
        state, sentence = "undecided", "neighbours differ, and there are no classes to tell whether the space changed"
    else:
        failed = VERDICTS.index(finding.verdict) >= VERDICTS.index(WORDS[gate.text])
        state = "failed" if failed else "holds" if finding.conclusive else "undecided"
        sentence = f"the verdict is: {finding.verdict}"
    return GateResult(gate=gate, checkpoint=drift.new, state=state, sentence=sentence)


def junit(drift: Drift, results: tuple[GateResult, ...]) -> str:
    """Return a JUnit file: a test case a gate, one that could not be decided as skipped; without gates the verdict."""
    failed = [result for result in results if result.state == "failed"]
    open_ones = [result for result in results if result.state == "undecided"]
    counts = {"tests": str(max(1, len(results))), "failures": str(len(failed)), "skipped": str(len(open_ones))}
    name = printable(f"repdiag drift: {drift.old} to {drift.new}")
    suite = Xml.Element("testsuite", {"name": name, "errors": "0", **counts})
    if not results:
        Xml.SubElement(suite, "testcase", {"classname": "repdiag.drift", "name": drift.finding.verdict})
    for result in results:
        case = Xml.SubElement(suite, "testcase", {"classname": "repdiag.drift", "name": result.gate.text})
        if result.state != "holds":
            kind = "failure" if result.state == "failed" else "skipped"
            Xml.SubElement(case, kind, {"message": printable(result.sentence)})
    Xml.SubElement(suite, "system-out").text = printable("; ".join((drift.finding.verdict, *drift.finding.reasons)))
    Xml.indent(suite)
    return Xml.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
