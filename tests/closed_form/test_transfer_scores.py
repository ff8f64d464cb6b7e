"""Scores of transfer where they can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from repdiag.metrics.transfer import gbc, h_score, logme
from repdiag.metrics.transfer.logme import LEAST_NOISE

TWO = torch.tensor([0, 0, 1, 1])


def evidence_of_nothing(rows: int, ones: int) -> float:
    """A target of `ones` ones that the features say nothing of: y ~ N(0, ones / N), log p / N = the entropy's minus."""
    return -0.5 * math.log(ones / rows) - 0.5 * math.log(2 * math.pi) - 0.5


def test_logme_of_features_that_say_nothing() -> None:
    """Features that are all zero leave the noise alone: b = N / n_c."""
    labels = torch.tensor([0] * 30 + [1] * 10)
    expected = (evidence_of_nothing(40, 30) + evidence_of_nothing(40, 10)) / 2
    assert float(logme(torch.zeros(40, 3), labels)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("length", [0.01, 1.0, 300.0])
@pytest.mark.parametrize(("ones", "zeros"), [(5, 5), (20, 60)])
def test_logme_of_one_feature_that_is_the_label(length: float, ones: int, zeros: int) -> None:
    """f = length x y_1. For class 1 the misfit is n s and the volume -log s, s in (0, 1] the unexplained share, so that
    2 N E = N log b - b n s + log s - N log 2 pi is largest at s = 1 / (b n), b at its ceiling. Class 0 is orthogonal to
    f: it learns nothing."""
    rows, precision = ones + zeros, 1.0 / LEAST_NOISE
    labels = torch.tensor([1] * ones + [0] * zeros)
    told = rows * math.log(precision) - 1.0 - math.log(precision * ones) - rows * math.log(2 * math.pi)
    found = logme(length * labels[:, None].double(), labels)
    assert found.per_class is not None
    assert found.per_class.tolist() == pytest.approx([evidence_of_nothing(rows, zeros), told / (2 * rows)], rel=1e-9)


def test_logme_takes_the_branch_of_few_rows_for_the_same_number() -> None:
    """Columns of zeros carry nothing: 12 rows of 4 features, and of 40 of which 36 are zero, are one problem."""
    rows = torch.randn(12, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.arange(12) % 3
    wide = torch.cat([rows, torch.zeros(12, 36)], dim=1)
    assert float(logme(wide, labels)) == pytest.approx(float(logme(rows, labels)), rel=1e-12)


def test_h_score_of_one_dimension_is_the_share_of_variance_between_the_classes() -> None:
    """Means -2 and 2, spread 1 inside: between 4, total 5."""
    rows = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]])
    assert float(h_score(rows, TWO, shrink=False)) == pytest.approx(0.8, rel=1e-12)
    assert float(h_score(rows, TWO)) == pytest.approx(0.8, rel=1e-12), "one dimension cannot be shrunk"


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_h_score_of_collapsed_classes_is_their_number_less_one(classes: int) -> None:
    """Rows at C points in general position: C - 1 canonical correlations of 1."""
    rows = torch.eye(classes, dtype=torch.float64).repeat(5, 1)
    labels = torch.arange(classes).repeat(5)
    assert float(h_score(rows, labels, shrink=False)) == pytest.approx(classes - 1, rel=1e-9)


def test_h_score_of_equal_class_means_is_zero() -> None:
    rows = torch.tensor([[-1.0, 2.0], [1.0, -2.0], [-3.0, -1.0], [3.0, 1.0]])
    assert float(h_score(rows, TWO, shrink=False)) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("apart", [0.0, 1.0, 4.0])
def test_gbc_of_two_classes_of_equal_spread(apart: float) -> None:
    """One dimension, variance 1 inside each: the floor is 1e-4 of the variance of all rows, 1 + apart^2 / 4; the
    coefficient of two Gaussians of one variance v at distance d is exp(-d^2 / (8 v)), counted twice."""
    rows = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]], dtype=torch.float64)
    rows[2:] += apart
    variance = 1.0 + 1e-4 * (1.0 + apart**2 / 4.0)
    assert float(gbc(rows, TWO)) == pytest.approx(-2.0 * math.exp(-(apart**2) / (8.0 * variance)), rel=1e-12)


def test_gbc_of_equal_means_and_unequal_spreads() -> None:
    """Variances 1 and 9: the coefficient is sqrt(2 s t / (s^2 + t^2)) = sqrt(6 / 10), up to the floor of the spread."""
    rows = torch.tensor([[-1.0], [1.0], [-3.0], [3.0]])
    assert float(gbc(rows, TWO)) == pytest.approx(-2.0 * math.sqrt(0.6), rel=1e-3)


def test_gbc_leaves_out_what_its_dims_do_not_hold() -> None:
    """Classes that differ along the third largest direction alone are alike in the first two."""
    rows = torch.tensor([[9.0, 0.0, 1.0], [-9.0, 0.0, 1.0], [0.0, 4.0, 1.0], [0.0, -4.0, 1.0]]).repeat(2, 1)
    rows[4:, 2] *= -1.0
    labels = torch.tensor([0] * 4 + [1] * 4)
    assert float(gbc(rows, labels, dims=2)) == pytest.approx(-2.0, rel=1e-9)
    assert float(gbc(rows, labels, dims=3)) > -0.01


def test_gbc_leaves_out_a_class_of_one_row() -> None:
    rows = torch.tensor([[-1.0], [1.0], [1.0], [3.0], [100.0]])
    found = gbc(rows, torch.tensor([0, 0, 1, 1, 2]))
    assert found.extra["singleton_classes"] == 1
    assert found.per_class is not None
    assert found.per_class.isnan().tolist() == [False, False, True]
    assert float(found.per_class[:2].mean()) == pytest.approx(float(found), rel=1e-12)


@pytest.mark.parametrize("score", [logme, h_score, gbc])
def test_one_class_has_no_score(score) -> None:
    assert score(torch.randn(6, 2), torch.zeros(6, dtype=torch.long)).value is None


def test_all_scores_fall_as_noise_grows() -> None:
    """Ten classes at random places, noise of 0.2, 0.6 and 1.8 of their distance: each score must say so."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 10
    centres, noise = torch.randn(10, 20, generator=draw), torch.randn(400, 20, generator=draw)
    for score in (logme, h_score, gbc):
        values = [float(score(centres[labels] + width * noise, labels)) for width in (0.2, 0.6, 1.8)]
        assert values == sorted(values, reverse=True), score.__name__
