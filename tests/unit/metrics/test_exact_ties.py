"""Neighbours of rows whose lengths differ by many decades."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repdiag.metrics.neighbors import two_nn_dimension


def test_neighbours_of_rows_whose_lengths_differ_by_eight_decades_are_those_of_differences() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(300, 10)) * 10 ** draw.uniform(-4, 4, (300, 1))
    apart = np.sqrt(np.square(rows[:, None] - rows[None]).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    first, second = np.sort(apart, axis=1)[:, :2].T
    mu = np.sort(second / first)[:270]
    x, y = np.log(mu), -np.log1p(-np.arange(1, 271) / 300)
    assert float(two_nn_dimension(torch.from_numpy(rows))) == pytest.approx(float(x @ y / (x @ x)), rel=1e-6)
