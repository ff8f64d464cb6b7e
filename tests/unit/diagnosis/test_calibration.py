"""A small run of the calibration, and the record in the documentation that a full run left."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from benchmarks import other_spaces

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def calibration() -> ModuleType:
    spec = importlib.util.spec_from_file_location("calibration", ROOT / "benchmarks" / "calibration.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibration"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_cases_are_the_same_at_every_run(calibration: ModuleType) -> None:
    assert calibration.cluster_cases(3) == calibration.cluster_cases(3)
    assert len({str(case) for case in calibration.cluster_cases(3)}) == 12


@pytest.mark.parametrize(
    ("cases", "metrics"), [("pretext_cases", "PRETEXT_METRICS"), ("collapse_cases", "COLLAPSE_METRICS")]
)
def test_clear_cases_are_never_answered_wrongly(calibration: ModuleType, cases: str, metrics: str) -> None:
    drawn = [case for case in getattr(calibration, cases)(2) if case.truth is not None]
    answers = []
    for case in drawn:
        _, diagnosis = calibration.diagnosis_of(case, getattr(calibration, metrics))
        collapse = cases == "collapse_cases"
        answers.append(calibration.collapse_answer(diagnosis, case) if collapse else diagnosis.overfitting.verdict)
    assert sum(score.wrong for score in calibration.scored(drawn, answers)) == 0


def test_granularity_of_clear_spaces_is_recovered(calibration: ModuleType) -> None:
    for _, draws, granularity, islands in calibration.recovery(1):
        assert draws == 1
        assert (granularity, islands) == (1.0, 1.0)


def test_the_documented_record_holds_what_is_promised() -> None:
    """At least 95 % right where the truth is clear and nowhere more than 5 % wrong, in the tables as written."""
    page = (ROOT / "docs" / "calibration.md").read_text("utf-8")
    rows = re.findall(
        r"^\| ([a-z -]+) \| (\d+) \| ([\d.]+) % \| ([\d.]+) % \| ([\d.]+) % \|$", page, flags=re.MULTILINE
    )
    assert len(rows) == 11
    short = [truth for truth, _, right, _, wrong in rows if float(wrong) > 5.0 or float(right) < 95.0]
    assert short == []


def test_spaces_of_other_kinds_are_what_their_names_say() -> None:
    found = {name: space for name, space, _ in other_spaces.spaces(seed=0)}
    assert all(len(rows) == len(labels) and bool(torch.isfinite(rows).all()) for rows, labels in found.values())
    giant = found["one class of 600 among classes of 24, one island"][1]
    assert giant.bincount().tolist() == [600, *[24] * 9]
    nested = found["3 islands inside each of 2 islands"][0][:90]
    centres = torch.stack([nested[at::6].mean(dim=0) for at in range(6)])
    gaps = torch.cdist(centres, centres)
    assert gaps[:3, :3].max() < gaps[:3, 3:].min()  # three of one island lie closer together than those of two
    copied = found["one island, 30 % exact copies"][0]
    assert 0.6 < len(torch.unique(copied, dim=0)) / len(copied) < 0.85
    plain = found["4 islands, labels permuted"]
    assert (plain[1][:60] == 0).float().mean() < 0.3
