"""Pairs of encoders whose similarity is known by construction."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.similarity import (
    cknna,
    linear_cka,
    minibatch_cka,
    mutual_knn,
    neighbor_jaccard,
    procrustes_distance,
)


def gaussian(rows: int, dims: int, *, seed: int) -> Tensor:
    return torch.randn(rows, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotated(rows: Tensor, *, seed: int = 9) -> Tensor:
    return rows @ torch.linalg.qr(gaussian(rows.shape[1], rows.shape[1], seed=seed)).Q


@pytest.mark.parametrize("debiased", [True, False])
def test_cka_is_one_up_to_rotation_scale_and_shift(debiased: bool) -> None:
    rows = gaussian(40, 6, seed=0)
    found = linear_cka(rows, other_features=3.0 * rotated(rows) + 5.0, debiased=debiased)
    assert float(found) == pytest.approx(1.0, rel=1e-9)


def test_biased_cka_of_orthogonal_directions() -> None:
    """X = (a, b), Y = (a, c), all orthonormal and centred: ||X^T Y||^2 = 1 over ||X^T X|| ||Y^T Y|| = 2."""
    basis = gaussian(30, 3, seed=1)
    a, b, c = torch.linalg.qr(basis - basis.mean(dim=0)).Q.T
    first, second = torch.stack([a, b], dim=1), torch.stack([a, c], dim=1)
    assert float(linear_cka(first, other_features=second, debiased=False)) == pytest.approx(0.5, rel=1e-9)
    # s = 1/2 of ||A||_F = sqrt 2 each: nuclear norm 1 / 2, so the distance is sqrt(2 - 1).
    assert float(procrustes_distance(first, other_features=second)) == pytest.approx(1.0, rel=1e-9)


def test_bias_makes_wide_unrelated_encoders_look_alike_and_debiasing_does_not() -> None:
    first, second = gaussian(60, 300, seed=2), gaussian(60, 300, seed=3)
    assert float(linear_cka(first, other_features=second, debiased=False)) > 0.7
    assert abs(float(linear_cka(first, other_features=second))) < 0.1


def test_minibatch_cka_in_one_batch_is_the_debiased_cka() -> None:
    first = gaussian(50, 5, seed=4)
    second = first[:, :3] + 0.5 * gaussian(50, 3, seed=5)
    found = minibatch_cka(first, other_features=second, batch_size=50)
    assert float(found) == pytest.approx(float(linear_cka(first, other_features=second)), rel=1e-9)


def test_procrustes_forms_agree_with_one_another() -> None:
    """All forms are functions of s; unrelated directions (s = 0) are sqrt 2 apart, 90 degrees, disparity 1."""
    basis = gaussian(30, 2, seed=6)
    a, b = torch.linalg.qr(basis - basis.mean(dim=0)).Q.T
    first, second = a[:, None], b[:, None]
    expected = {"distance": math.sqrt(2), "squared": 2.0, "angular": math.pi / 2, "disparity": 1.0}
    expected["size_and_shape"] = math.sqrt(2.0)
    for form, value in expected.items():
        assert float(procrustes_distance(first, other_features=second, form=form)) == pytest.approx(value, rel=1e-9)


def test_procrustes_distance_does_not_mind_unequal_widths() -> None:
    rows = gaussian(30, 4, seed=7)
    wide = torch.cat([rotated(rows), torch.zeros(30, 3, dtype=torch.float64)], dim=1)
    assert float(procrustes_distance(rows, other_features=wide)) == pytest.approx(0.0, abs=1e-7)


def test_mirrored_rows_keep_all_their_neighbours() -> None:
    """Rows every 10 degrees on a circle and the same rows mirrored: a rotation with a flip, which keeps all angles."""
    angles = torch.arange(36, dtype=torch.float64) * math.pi / 18
    circle = torch.stack([angles.cos(), angles.sin()], dim=1)
    mirrored = circle * torch.tensor([1.0, -1.0], dtype=torch.float64)
    assert float(mutual_knn(circle, other_features=mirrored, k=2)) == 1.0
    assert float(neighbor_jaccard(circle, other_features=mirrored, k=2)) == 1.0


def test_half_the_neighbours_in_common() -> None:
    """Nearest by angle, k = 1. At degrees (0, 1, 3, 6): 0 -> 1, 1 -> 0, 2 -> 1, 3 -> 2.

    At degrees (0, 1, 6, 3): 0 -> 1, 1 -> 0, 2 -> 3, 3 -> 1. Two rows of four agree; for single neighbours the Jaccard
    index is the share.
    """
    degrees = torch.tensor([[0.0, 1.0, 3.0, 6.0], [0.0, 1.0, 6.0, 3.0]], dtype=torch.float64) * math.pi / 180
    first, second = torch.stack([degrees.cos(), degrees.sin()], dim=2)
    assert float(mutual_knn(first, other_features=second, k=1)) == 0.5
    assert float(neighbor_jaccard(first, other_features=second, k=1)) == 0.5


def test_jaccard_of_m_common_neighbours() -> None:
    """m common of k: m / (2 k - m) a row, where mutual_knn has m / k."""
    first, second = gaussian(40, 3, seed=10), gaussian(40, 3, seed=11)
    shares = mutual_knn(first, other_features=second, k=5).per_row
    jaccards = neighbor_jaccard(first, other_features=second, k=5).per_row
    assert shares is not None
    assert jaccards is not None
    assert jaccards.tolist() == pytest.approx((shares / (2.0 - shares)).tolist())


def test_cknna_of_an_encoder_with_itself_is_one_up_to_eps() -> None:
    rows = gaussian(30, 4, seed=12)
    assert float(cknna(rows, other_features=rows, k=5, eps=0.0)) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize(
    "metric", [linear_cka, minibatch_cka, procrustes_distance, mutual_knn, neighbor_jaccard, cknna]
)
def test_unlike_rows_are_an_error(metric) -> None:
    with pytest.raises(MetricError, match="same rows"):
        metric(torch.randn(20, 3), other_features=torch.randn(19, 3))


@pytest.mark.parametrize(
    "metric", [linear_cka, minibatch_cka, procrustes_distance, mutual_knn, neighbor_jaccard, cknna]
)
@pytest.mark.parametrize("value", [1.0, 0.1])
@pytest.mark.parametrize("own", ["a cloud", "a point"])
def test_a_constant_encoder_has_no_similarity_but_a_reason(metric, value: float, own: str) -> None:
    """Nor has it with another constant one, though rounding leaves both the same: a CKA of 1 was what it gave."""
    constant = torch.tensor([value, 1.7 * value, -0.3], dtype=torch.float64)
    features = gaussian(20, 3, seed=0) if own == "a cloud" else constant.flip(0).expand(20, -1)
    found = metric(features, other_features=constant.expand(20, -1))
    assert found.value is None
    assert "same features" in found.reason


def test_rows_of_one_direction_have_no_nearest_cosine_but_inner_products() -> None:
    lengths = torch.arange(1.0, 21.0, dtype=torch.float64)[:, None]
    ray = lengths * torch.tensor([0.1, 1.7, -0.3], dtype=torch.float64)
    assert mutual_knn(gaussian(20, 3, seed=0), other_features=ray).value is None
    assert float(mutual_knn(lengths, other_features=ray, similarity="inner_product")) == 1.0
