"""Schedules against values derived by hand."""

import math

import pytest

from repdiag.training.schedules import cosine, warmup_cosine


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
