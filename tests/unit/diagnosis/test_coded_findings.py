"""Findings with codes: one flat list that carries number, threshold and advice, can be muted, gated and stored."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import repdiag
from repdiag.core.errors import UsageError
from repdiag.diagnosis.checks import row_findings
from repdiag.diagnosis.codes import CODES, parse_codes
from repdiag.diagnosis.row_checks import check_rows
from repdiag.workflows.gates import check_gates, parse_gates

DOCS = Path(__file__).parents[3] / "docs"


def islands(rows: int = 400) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return four classes, each in two islands of its own."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), rows // 4)
    places = 2 * labels + rng.integers(0, 2, rows)
    return np.eye(8)[places] + 0.1 * rng.normal(size=(rows, 8)), labels


@pytest.fixture(scope="module")
def split() -> repdiag.Diagnosis:
    features, labels = islands()
    return repdiag.diagnose(features, labels=labels)


def test_the_sentence_leads_with_the_fault_and_the_finding_carries_its_number(split: repdiag.Diagnosis) -> None:
    assert split.summary.startswith("Over-clustered: 0, 1, 2 and 1 more fall into separate groups")
    (found,) = [item for item in split.findings if item.code == "RD101"]
    assert found.severity == "severe"
    assert found.metric == "islands"
    assert found.value == pytest.approx(2.0)
    assert found.advice


def test_an_open_question_has_a_code_and_says_what_would_decide(split: repdiag.Diagnosis) -> None:
    (found,) = [item for item in split.findings if item.is_open]
    assert found.code == "RD203"
    assert "--bank" in found.decides


def test_a_muted_finding_leaves_sentence_list_and_gates_and_no_number(split: repdiag.Diagnosis) -> None:
    quiet = split.mute("rd101")
    assert "RD101" not in {item.code for item in quiet.findings}
    assert "ver-clustered" not in quiet.summary
    assert quiet.over_clustering == split.over_clustering
    gates = parse_gates("over-clustering, RD101")
    table = repdiag.evaluate(islands()[0], ["uniformity"])
    loud, still = (check_gates(gates, each, table, referenced=False) for each in (split, quiet))
    assert [result.state for result in loud] == ["failed", "failed"]
    assert [result.state for result in still] == ["holds", "holds"]


def test_a_muted_open_question_fails_no_gate(split: repdiag.Diagnosis) -> None:
    table = repdiag.evaluate(islands()[0], ["uniformity"])
    (loud,) = check_gates(parse_gates("inconclusive"), split, table, referenced=False)
    (still,) = check_gates(parse_gates("inconclusive"), split.mute(["RD203"]), table, referenced=False)
    assert (loud.state, still.state) == ("failed", "holds")


def test_what_is_stored_comes_back_with_checks_and_muted_codes(split: repdiag.Diagnosis) -> None:
    features, _ = islands()
    features[7] = features[3]
    told = split.with_checks(row_findings(check_rows(features, search=True))).mute("RD505")
    assert repdiag.Diagnosis.from_dict(told.to_dict()) == told
    assert [item["code"] for item in told.to_dict()["findings"]] == [item.code for item in told.findings]


def test_copies_are_counted_with_the_first_row_named() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 16))
    rows[7] = rows[3]
    (found,) = [item for item in row_findings(check_rows(rows)) if item.code == "RD501"]
    assert found.sentence == "2 of 60 rows are near-copies of others (first: 3)."
    assert found.value == pytest.approx(2 / 60)
    assert found.severity == "info"


def test_an_unknown_code_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="RD50"):
        parse_codes("RD50")


def test_every_code_has_its_section_and_every_section_a_code() -> None:
    text = (DOCS / "findings.md").read_text("utf-8")
    assert set(re.findall(r"^## (RD\d+)", text, flags=re.M)) == set(CODES)
    assert all(code.question for code in CODES.values())


def test_the_demo_finds_the_islands_that_were_planted_and_draws_them(tmp_path: Path) -> None:
    from repdiag.workflows.demo import PLANTED, demo

    found, pictures = demo(tmp_path / "demo")
    assert dict(found.diagnosis.over_clustering.split_classes) == PLANTED
    assert [path.name for path in pictures] == ["split_classes.png"]
    assert pictures[0].stat().st_size > 5_000


@pytest.mark.parametrize("islands", [2, 3, 4])
def test_islands_at_equal_distances_are_counted(islands: int) -> None:
    """A cut between two of them runs through the others, whose parts are one piece all the same."""
    rng = np.random.default_rng(3)
    rows = np.eye(12)[np.arange(240) % islands] + 0.1 * rng.normal(size=(240, 12))
    found = repdiag.evaluate(rows, ["islands"], labels=np.zeros(240, dtype=np.int64))
    assert found.rows[0].value == islands
