"""The dip and its p-values against PyPI's diptest (GPL, so an oracle here and never a dependency)."""

from __future__ import annotations

import numpy as np
import pytest
from diptest import dipstat, diptest

from repdiag.metrics.clusters.dip import dip, one_mode_p_value

SHAPES = {
    "uniform": lambda draw, rows: draw.random(rows),
    "normal": lambda draw, rows: draw.standard_normal(rows),
    "skewed": lambda draw, rows: draw.exponential(size=rows),
    "two modes": lambda draw, rows: draw.standard_normal(rows) + 5.0 * (draw.random(rows) < 0.4),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_dip_is_that_of_diptest(shape: str) -> None:
    for seed in range(60):
        draw = np.random.default_rng(seed)
        values = SHAPES[shape](draw, int(draw.integers(4, 300)))
        assert dip(values) == pytest.approx(dipstat(values), abs=1e-12)


@pytest.mark.parametrize("rows", [30, 100, 700, 3000])
def test_p_values_are_those_of_its_table(rows: int) -> None:
    """Both tables are simulated. It interpolates p itself between its quantiles, which is up to a sixth too much."""
    compared = 0
    for seed in range(40):
        draw = np.random.default_rng(seed)
        values = draw.standard_normal(rows) + 0.1 * seed * (draw.random(rows) < 0.5)
        height, p_value = diptest(values)
        if 0.001 < p_value < 0.3:
            assert 0.8 * p_value < one_mode_p_value(height, rows) < 1.05 * p_value
            compared += 1
    assert compared > 1
