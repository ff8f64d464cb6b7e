"""Checks beside the three questions as coded findings: how the images were prepared, and the rows to look at."""

from __future__ import annotations

from collections.abc import Iterator

from repdiag.core.input_statistics import InputStatistics
from repdiag.diagnosis.coded import CodedFinding, coded
from repdiag.diagnosis.codes import CODES
from repdiag.diagnosis.preprocessing import NOT_AS_TRAINED, judge_preprocessing
from repdiag.diagnosis.row_checks.records import ANTIHUB, HUB, LABEL, LEAK, NEAR_COPY, OUTLIER, RowChecks
from repdiag.diagnosis.verdict import Advice

_ROWS = {NEAR_COPY: "RD501", LEAK: "RD502", LABEL: "RD503", OUTLIER: "RD504", HUB: "RD505", ANTIHUB: "RD506"}
_SPACE = {
    "dominating dimension": "RD511",
    "spread of norms": "RD512",
    "concentration of distances": "RD513",
}
# Shares of the rows above which copies do not only want a look: they move the numbers.
_MOVES = {NEAR_COPY: 0.05, LEAK: 0.01}
_WORDS = {
    NEAR_COPY: "rows are near-copies of others",
    LEAK: "rows of val have near-copies among the train rows",
    LABEL: "rows have neighbours that agree on another label",
    OUTLIER: "rows are far from all others",
    HUB: "rows are among the nearest of very many others",
    ANTIHUB: "rows are not a neighbour of any other row",
}


def preprocessing_finding(statistics: InputStatistics | None, *, seed: int = 0) -> tuple[CodedFinding, ...]:
    """Return the finding that images are not prepared as in training; none where they are or none can tell."""
    found = judge_preprocessing(statistics, seed=seed)
    return (coded("RD401", found),) if found.verdict == NOT_AS_TRAINED else ()


def row_findings(checks: RowChecks) -> tuple[CodedFinding, ...]:
    """Return one finding a kind of row to look at, and one for each property of the space beyond the ordinary."""
    return (*_of_rows(checks), *_of_space(checks))


def _of_rows(checks: RowChecks) -> Iterator[CodedFinding]:
    for what, count in checks.counts.items():
        code, share = _ROWS[what], count / checks.counted
        limit = _MOVES.get(what)
        first = next(row for row in checks.rows if row.what == what)
        words = _WORDS[what]
        words = words if count > 1 else words.replace(" are ", " is ", 1).replace(" have ", " has ", 1)
        yield CodedFinding(
            code=code,
            sentence=f"{count:,} of {checks.counted:,} {words} (first: {first.row_id}).",
            severity="mild" if limit is not None and share > limit else "info",
            value=share,
            threshold=limit,
            metric="share_of_rows",
            decides=CODES[code].decides,
        )


def _of_space(checks: RowChecks) -> Iterator[CodedFinding]:
    for note in checks.notes:
        code = _SPACE.get(note.what)
        if note.look and code is not None:
            yield CodedFinding(
                code=code,
                sentence=note.sentence,
                severity="info",
                value=note.value,
                threshold=note.limit,
                metric=note.what.replace(" ", "_"),
                decides=CODES[code].decides,
                advice=(_advice(note.advice),) if note.advice else (),
            )


def _advice(what: str) -> Advice:
    return Advice(what=what, because="", reference="", limits="")
