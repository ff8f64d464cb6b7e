"""Planned rows on real images: the pilot is part of what is read, nothing is encoded twice, and the plan is kept."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import repdiag
from repdiag.workflows import planning
from repdiag.workflows.measure import extract_sets
from repdiag.workflows.options import AnalysisOptions
from repdiag.workflows.planning import plan_rows


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))


class Counting(nn.Module):
    """Pools pixels, and keeps how many images it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, images: Tensor) -> Tensor:
        self.seen += len(images)
        return nn.functional.avg_pool2d(images, 8).flatten(1)


def encoder(net: nn.Module) -> object:
    return repdiag.load_encoder(net, image_size=32, name="pooled")


def test_the_pilot_is_part_of_the_plan_and_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repdiag.workflows.row_plan.PILOT_ROWS", 30)
    monkeypatch.setattr(planning, "_trial_speed", lambda *_: 1e6)
    monkeypatch.setattr(planning, "pilot_needs", lambda *_: {"pretext gap": 60})
    net, options = Counting(), AnalysisOptions(bank_per_class=6)
    one = encoder(net)
    net.seen = 0  # loading tries the network out
    planned = plan_rows("digits", [lambda: one], options)
    plan = planned.rows.plan
    assert plan is not None
    assert (plan.rows, plan.pilot_per_class, plan.views) == (60, 3, 8)
    assert net.seen == 2 * 30 * 9
    sets = extract_sets(one, planned.rows, options, known=planned.known_of(0))
    bank = plan.bank_per_class * 10
    assert net.seen == 2 * 60 * 9 + (bank - 60) * 9 + (len(planned.rows.queries or ()) - 60)
    assert [len(sets[role]) for role in ("train", "val", "bank", "queries")] == [60, 60, bank, 240]
    whole = extract_sets(one, planned.rows, AnalysisOptions(cache=False))  # not in two parts
    for role, found in sets.items():
        assert np.array_equal(found.row_ids, whole[role].row_ids)
        assert torch.equal(found.features, whole[role].features)
        assert found.views is None or torch.equal(found.views, whole[role].views)


def test_the_time_is_kept_and_the_plan_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_trial_speed", lambda *_: 100.0)
    net, said = Counting(), []
    options = AnalysisOptions(max_minutes=0.2, cache=False, untrained=False)
    monkeypatch.setattr(planning.ExtractionClock, "seconds", property(lambda _: 0.0, lambda *_: None), raising=False)
    monkeypatch.setattr(planning.ExtractionClock, "images", property(lambda _: 0, lambda *_: None), raising=False)
    planned = plan_rows("digits", [lambda: encoder(net)], options, say=said.append)
    plan = planned.rows.plan
    assert plan is not None
    assert plan.limited_by == "max_minutes"
    assert plan.images_a_second == 100.0
    assert said == [f"plan: {plan.sentence()}"]
    assert any(plan.sentence() in note for note in planned.rows.notes())
    assert net.seen <= 1 + 0.2 * 60 * 100
    assert json.loads(json.dumps(plan.to_dict()))["rows"] == plan.rows


def test_what_is_told_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_trial_speed", lambda *_: 1e6)
    net = Counting()
    few = plan_rows("digits", [lambda: encoder(net)], AnalysisOptions(limit=100))
    assert len(few.rows.val) == 100
    most = plan_rows("digits", [lambda: encoder(net)], AnalysisOptions(max_rows=50))
    assert len(most.rows.val) == 50


def test_a_comparison_goes_on_with_the_plan_it_was_begun_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_trial_speed", lambda *_: 1e6)
    options = AnalysisOptions(data="digits", max_rows=40, untrained=False)
    first = plan_rows("digits", [lambda: encoder(Counting())], options).rows
    assert first.plan is not None
    record = SimpleNamespace(
        is_finished=True, content={"plan": first.plan.to_dict(), "options": json.loads(json.dumps(options.to_dict()))}
    )
    monkeypatch.setattr("repdiag.core.folder_record.find_record", lambda _: record)
    (tmp_path / "one").mkdir()
    earlier = planning.earlier_plan(tmp_path, options)
    assert earlier == first.plan
    again = plan_rows("digits", [], options, earlier=earlier)
    assert again.rows.fingerprints() == first.fingerprints()
    assert planning.earlier_plan(tmp_path, AnalysisOptions(data="digits", max_rows=50)) is None
    record.is_finished = False
    assert planning.earlier_plan(tmp_path, options) is None
