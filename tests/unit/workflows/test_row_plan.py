"""The arithmetic of the plan: what decides, what the time allows, and what is said of it."""

from __future__ import annotations

import math

import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.workflows.row_needs import ISLAND_ROWS, pilot_needs, rows_needed
from repdiag.workflows.row_plan import RowPlan, Supply, encodes, first_plan, fitted

LARGE = Supply(classes=10, per_class=1000, bank_per_class=5000)
SMALL = Supply(classes=10, per_class=36, bank_per_class=138)


@pytest.mark.parametrize(("accuracy", "rows"), [(0.05, 1862), (0.1, 3528), (0.5, 9800)])
def test_a_gap_of_zero_needs_the_rows_of_two_binomials(accuracy: float, rows: int) -> None:
    """2 p (1 - p) (2.8 / .02)^2."""
    assert rows_needed(2 * accuracy * (1 - accuracy), 0.02) == pytest.approx(rows, abs=1)


def test_the_pilot_says_what_each_question_needs() -> None:
    """One row in four of every class finds its view: spread 2 x .25 x .75 within classes; retrieval always hits."""
    angle = torch.arange(80) * 2 * math.pi / 80
    rows = torch.stack([angle.cos(), angle.sin()], dim=1).double()
    labels = torch.arange(80) // 20
    view = torch.where((torch.arange(80) % 4 == 0)[:, None], rows, -rows)
    one = EmbeddingSet(features=rows, labels=labels, views=view[None])
    needs = pilot_needs(one, one)
    within = 2 * 0.25 * 0.75 * 80 / 76  # ddof: a mean a class
    assert needs["pretext gap"] == pytest.approx(within * (2.8 / 0.02) ** 2, rel=1e-3)
    assert needs["over-clustering"] == 4 * ISLAND_ROWS
    alone = pilot_needs(one, None)
    assert set(alone) == {"over-clustering"}


def fit(supply: Supply, needs: dict[str, int], *, speed: float = 1e9, seconds: float = 600.0) -> RowPlan:
    pilot = first_plan(supply, images_a_second=speed, seconds=float(seconds))
    return fitted(supply, needs, pilot=pilot, images_a_second=speed, seconds=float(seconds))


def test_as_many_as_the_questions_need_evenly_over_the_classes() -> None:
    plan = fit(LARGE, {"pretext gap": 3838, "label gap": 900})
    assert (plan.rows, plan.limited_by, plan.views) == (3840, "needs", 2)
    assert plan.bank_per_class == 500
    assert plan.pilot_per_class == 50
    assert "3,840 of 10,000" in plan.sentence()


def test_no_more_than_the_cap_or_than_there_are() -> None:
    assert fit(LARGE, {"pretext gap": 50_000}).limited_by == "available"
    capped = fit(Supply(classes=10, per_class=1000, bank_per_class=5000, max_rows=4000), {"pretext gap": 9000})
    assert (capped.rows, capped.limited_by) == (4000, "max_rows")
    assert "--max-rows" in capped.sentence()


def test_few_images_are_looked_at_more_often_and_held_against_more_train_images() -> None:
    plan = fit(SMALL, {"pretext gap": 3000})
    assert (plan.rows, plan.views, plan.bank_views, plan.bank_per_class) == (360, 8, True, 138)
    assert plan.limited_by == "available"
    assert "8 views of each" in plan.sentence()


def test_seconds_take_views_of_the_bank_first_then_views_then_images() -> None:
    needs = {"pretext gap": 3000}
    whole = encodes(fit(SMALL, needs), SMALL, untrained=True)
    assert fit(SMALL, needs, speed=1.0, seconds=whole).bank_views
    without_bank = fit(SMALL, needs, speed=1.0, seconds=whole - 1)
    assert (without_bank.views, without_bank.bank_views, without_bank.rows) == (8, False, 360)
    cost = encodes(without_bank, SMALL, untrained=True)
    fewer = fit(SMALL, needs, speed=1.0, seconds=cost - 1)
    assert (fewer.views, fewer.rows) == (4, 360)
    short = fit(SMALL, needs, speed=1.0, seconds=500.0)
    assert (short.views, short.limited_by) == (2, "max_minutes")
    assert 20 <= short.rows < 360


def test_the_seconds_are_kept_and_the_line_says_what_all_would_cost() -> None:
    """10,000 images, two parts, three encodings each, with the untrained copy, at 40 a second: 50 minutes."""
    plan = fit(LARGE, {"pretext gap": 9900}, speed=40.0)
    assert plan.limited_by == "max_minutes"
    assert encodes(plan, LARGE, untrained=True) <= 40 * 600
    assert plan.rows % 10 == 0
    said = plan.sentence()
    assert said.startswith("9,900 images would take 50 min here; reading ")
    assert "in 10 min" in said or "in 9 min" in said
    assert "the rest would halve the interval" in said
    assert RowPlan.from_dict(plan.to_dict()) == plan


def test_a_slow_encoder_has_a_small_pilot() -> None:
    pilot = first_plan(LARGE, images_a_second=1.0, seconds=600.0)
    assert encodes(pilot, LARGE, untrained=False) <= 300
    assert pilot.per_class >= 2
