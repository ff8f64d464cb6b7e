"""Ties that are exact in arithmetic are ties here: no scale, order of columns or length of a row decides them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from repdiag.metrics.neighbors import precision_at_1, two_nn_dimension


def binary(rows: int, dims: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, rows)
    features = (draw.random((rows, dims)) < 0.5).astype(float)
    features[:, :4] = np.eye(4)[labels] * (draw.random((rows, 1)) < 0.9)
    features[:, 4] = 1.0
    return features, labels


def nearest_by_fractions(features: np.ndarray) -> list[int]:
    """Squares of cosines of rows of zeros and ones are fractions; of equal ones the lower row is the nearest."""
    whole = features.astype(int)
    products, lengths = whole @ whole.T, whole.sum(axis=1)
    found = []
    for row in range(len(whole)):
        squares = [
            Fraction(-1) if other == row else Fraction(int(product) ** 2, int(lengths[row] * lengths[other]))
            for other, product in enumerate(products[row])
        ]
        found.append(max(range(len(squares)), key=lambda other: (squares[other], -other)))
    return found


def test_equal_cosines_fall_to_the_lower_row_whatever_the_scale_and_the_order_of_columns() -> None:
    features, labels = binary(160, 14)
    exact = float(np.mean(labels[nearest_by_fractions(features)] == labels))
    order = np.random.default_rng(1).permutation(14)
    for changed in (features, 3 * features, 0.1 * features, features[:, order], features.astype(np.float32) * 7):
        assert float(precision_at_1(changed, labels)) == pytest.approx(exact, abs=1e-12)


def test_neighbours_of_rows_whose_lengths_differ_by_eight_decades_are_those_of_differences() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(300, 10)) * 10 ** draw.uniform(-4, 4, (300, 1))
    apart = np.sqrt(np.square(rows[:, None] - rows[None]).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    first, second = np.sort(apart, axis=1)[:, :2].T
    mu = np.sort(second / first)[:270]
    x, y = np.log(mu), -np.log1p(-np.arange(1, 271) / 300)
    assert float(two_nn_dimension(torch.from_numpy(rows))) == pytest.approx(float(x @ y / (x @ x)), rel=1e-6)
