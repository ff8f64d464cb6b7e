"""Schedules against values derived by hand."""

import math

import pytest

from repdiag.config.overrides import parse_settings
from repdiag.methods.base import Clock
from repdiag.training.schedules import cosine, warmup_cosine
from repdiag.training.step import rates_at


def test_cosine_ends_middle_and_quarter():
    """cos(0) = 1, cos(pi/2) = 0, cos(pi) = -1, cos(pi/4) = sqrt(2)/2."""
    assert cosine(0, 100, start=2.0, end=0.5) == 2.0
    assert cosine(50, 100, start=2.0, end=0.5) == pytest.approx(1.25)
    assert cosine(100, 100, start=2.0, end=0.5) == 0.5
    assert cosine(25, 100, start=1.0, end=0.0) == pytest.approx((1 + math.sqrt(2) / 2) / 2)


def test_cosine_is_constant_outside_its_range():
    assert cosine(-1, 10, start=3.0, end=1.0) == 3.0
    assert cosine(11, 10, start=3.0, end=1.0) == 1.0


def test_warmup_is_linear_and_reaches_the_peak_at_its_last_step():
    values = [warmup_cosine(step, 20, peak=0.8, warmup=4) for step in range(5)]
    assert values == pytest.approx([0.2, 0.4, 0.6, 0.8, 0.8])


def test_without_warmup_the_first_step_has_the_peak_and_the_cosine_ends_at_the_end():
    assert warmup_cosine(0, 10, peak=0.3, warmup=0) == 0.3
    assert warmup_cosine(5, 10, peak=0.3, warmup=0, end=0.1) == pytest.approx(0.2)
    assert warmup_cosine(10, 10, peak=0.3, warmup=0, end=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize(("batch", "lr_batch", "peak"), [(512, 256, 0.06), (64, 256, 0.0075), (512, None, 0.03)])
def test_the_learning_rate_holds_at_its_batch_and_is_scaled_from_there_its_end_is_not(batch, lr_batch, peak):
    """lr = 0.03 at 256 images a step; Goyal et al. 2017 scale it linearly with the batch."""
    raw = {"loop": {"batch_size": batch}, "optimizer": {"lr": 0.03, "lr_batch": lr_batch}}
    settings = parse_settings(raw | {"schedule": {"epochs": 2, "final_lr": 0.001}})
    first, last = (rates_at(Clock(step, 20, 10), settings).lr for step in (0, 20))
    assert first == pytest.approx(peak)
    assert last == pytest.approx(0.001)
