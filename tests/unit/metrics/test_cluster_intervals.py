"""The interval of a clustering's score holds both doubts: which rows were drawn, and which k-means seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference.resampling import Rows
from repdiag.metrics.inference.with_interval import _clustered

RUNS = 4


def errors(*, rows: float, seeds: float, draws: int = 200, count: int = 80) -> np.ndarray:
    """Return the squared error that is estimated of a mean over rows that every run moves by a draw of its own."""
    generator = np.random.default_rng(0)
    found = []
    for draw in range(draws):
        data, moved = rows * generator.normal(size=count), seeds * generator.normal(size=997)

        def again(half: np.ndarray, *, seed: int, seeds: int, data: Any = data, moved: Any = moved) -> float:
            assert seeds == 1
            return float(data[half].mean() + moved[seed % len(moved)])

        values = data.mean() + seeds * generator.normal(size=RUNS)
        value = MetricValue(value=float(values.mean()), n=count, extra={"sd": float(values.std(ddof=1)), "seeds": RUNS})
        estimate = _clustered(value, again, features=torch.zeros(count, 1), rows=Rows(count=count), seed=draw)
        assert estimate is not None
        found.append(estimate.error**2)
    return np.array(found)


@pytest.mark.parametrize(("rows", "seeds"), [(1.0, 0.0), (1.0, 0.1), (2.0, 0.2)])
def test_the_error_is_that_of_the_rows_and_of_the_mean_over_the_seeds(rows: float, seeds: float) -> None:
    """A mean of N independent rows has the variance rows^2 / N, one of R independent runs seeds^2 / R."""
    truth = rows**2 / 80 + seeds**2 / RUNS
    assert errors(rows=rows, seeds=seeds).mean() == pytest.approx(truth, rel=0.08)


def test_seeds_that_differ_more_than_halves_leave_their_own_error() -> None:
    value = MetricValue(value=0.5, n=8, extra={"sd": 0.2, "seeds": RUNS})
    same = _clustered(value, lambda half, **told: 0.5, features=torch.zeros(8, 1), rows=Rows(count=8), seed=0)
    assert same is not None
    assert same.error == pytest.approx(0.1)  # .2 / sqrt(4): the halves all agree
