"""Spectra that are known by construction."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from repdiag.core.errors import ConfigError
from repdiag.metrics.spectrum import (
    alpha_req,
    coherence,
    effective_rank,
    lidar,
    nesum,
    participation_ratio,
    pseudo_condition_number,
    rankme,
    self_clustering,
    singular_spectrum,
    stable_rank,
)
from repdiag.metrics.spectrum.singular_values import covariance_eigenvalues, singular_values


def with_spectrum(values: list[float], *, rows: int, seed: int = 0) -> Tensor:
    """Centred rows whose singular values are the given ones: U diag(values) V^T with 1 orthogonal to U."""
    generator = torch.Generator().manual_seed(seed)
    size = len(values)
    basis = torch.randn(rows, size, generator=generator, dtype=torch.float64)
    left = torch.linalg.qr(basis - basis.mean(dim=0)).Q
    right = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64)).Q
    return left * torch.tensor(values, dtype=torch.float64) @ right.T


@pytest.mark.parametrize("rows", [30, 200])
def test_singular_values_down_to_a_billionth_of_the_first(rows: int) -> None:
    values = [10.0**-power for power in range(10)]
    found = singular_values(with_spectrum(values, rows=rows))
    assert found.tolist() == pytest.approx(values, rel=1e-6)


def test_wide_and_tall_matrices_have_the_same_singular_values() -> None:
    tall = with_spectrum([5.0, 2.0, 1.0, 0.1], rows=12)
    assert singular_values(tall.T).tolist() == pytest.approx(singular_values(tall).tolist(), rel=1e-9)


def test_dead_dimensions_have_singular_value_zero() -> None:
    rows = torch.cat([with_spectrum([3.0, 2.0], rows=10), torch.zeros(10, 3, dtype=torch.float64)], dim=1)
    assert singular_values(rows).tolist() == pytest.approx([3.0, 2.0, 0.0, 0.0, 0.0])


def test_ranks_of_a_flat_spectrum_are_its_length() -> None:
    rows = with_spectrum([2.0] * 6, rows=40)
    for metric in (rankme, effective_rank, participation_ratio, stable_rank, nesum):
        assert float(metric(rows)) == pytest.approx(6.0, rel=1e-5)
    assert float(pseudo_condition_number(rows)) == pytest.approx(1.0)
    assert float(singular_spectrum(rows)) == pytest.approx(1.0 / 6.0)


def test_ranks_of_rank_one_are_one() -> None:
    rows = torch.outer(torch.arange(1.0, 9.0, dtype=torch.float64), torch.ones(5, dtype=torch.float64))
    for metric in (rankme, effective_rank, participation_ratio, stable_rank, nesum):
        assert float(metric(rows)) == pytest.approx(1.0, abs=2e-5)


def test_ranks_of_two_unlike_values() -> None:
    """s = (2, 1): p = (2/3, 1/3) for values, (4/5, 1/5) for squares; sums of squares 5 and of fourth powers 17."""
    rows = with_spectrum([2.0, 1.0], rows=20)
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    assert float(rankme(rows, eps=0.0)) == pytest.approx(math.exp(entropy), rel=1e-9)
    variances = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    assert float(effective_rank(rows)) == pytest.approx(math.exp(variances), rel=1e-9)
    assert float(rankme(rows, eps=0.0, spectrum="eigenvalues")) == pytest.approx(math.exp(variances), rel=1e-9)
    assert float(participation_ratio(rows)) == pytest.approx(25 / 17, rel=1e-9)
    assert float(stable_rank(rows)) == pytest.approx(1.25, rel=1e-9)
    assert float(nesum(rows)) == pytest.approx(1.25, rel=1e-9)
    assert float(singular_spectrum(rows)) == pytest.approx(0.8, rel=1e-9)
    assert singular_spectrum(rows).extra["curve"] == pytest.approx([1.0, 0.5])


def test_covariance_eigenvalues_do_not_see_the_mean() -> None:
    rows = with_spectrum([3.0, 1.0], rows=11)
    assert covariance_eigenvalues(rows + 100.0).tolist() == pytest.approx([0.9, 0.1], rel=1e-9)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_alpha_req_of_a_power_law(alpha: float) -> None:
    rows = with_spectrum([rank ** (-alpha / 2) for rank in range(1, 41)], rows=200)
    found = alpha_req(rows)
    assert float(found) == pytest.approx(alpha, rel=1e-8)
    assert (found.extra["first_rank"], found.extra["last_rank"]) == (11, 40)


def test_alpha_req_refuses_an_empty_range() -> None:
    with pytest.raises(ConfigError, match="first < last"):
        alpha_req(torch.eye(4), first=5, last=5)


def test_self_clustering_of_a_basis() -> None:
    """N = D orthonormal rows: Q = N, E = N + N - 1, so (N - 2N + 1) / (N^2 - 2N + 1) = -1 / (N - 1)."""
    assert float(self_clustering(torch.eye(6))) == pytest.approx(-1.0 / 5.0)


def test_coherence_of_an_outlier() -> None:
    """The last row alone spans its direction: leverage 1, times N / D."""
    rows = torch.cat([torch.ones(9, 1), torch.zeros(9, 1)], dim=1)
    rows = torch.cat([rows, torch.tensor([[0.0, 5.0]])])
    assert float(coherence(rows)) == pytest.approx(5.0)


def test_lidar_counts_the_directions_that_tell_images_apart() -> None:
    """Images differ along 3 of 6 directions, views along all, equally: 3 equal discriminants, the rest 0."""
    generator = torch.Generator().manual_seed(0)
    images = torch.cat([with_spectrum([40.0] * 3, rows=64), torch.zeros(64, 3, dtype=torch.float64)], dim=1)
    noise = torch.linalg.qr(torch.randn(64, 6, generator=generator, dtype=torch.float64)).Q
    found = lidar(images, torch.stack([images + noise, images - noise]))
    assert float(found) == pytest.approx(3.0, rel=1e-6)
    assert found.extra["members"] == 2


@pytest.mark.parametrize(("images", "dims"), [(12, 30), (30, 12), (1030, 5)])
def test_lidar_is_the_spectrum_of_its_definition(images: int, dims: int) -> None:
    """Fewer images than dimensions, more, more than are taken at a time: S_w^{-1/2} S_b S_w^{-1/2} as it is written."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(images, dims, generator=generator, dtype=torch.float64)
    views = rows + 0.3 * torch.randn(3, images, dims, generator=generator, dtype=torch.float64)
    centres = views.mean(dim=0)
    away = (views - centres).reshape(-1, dims)
    values, vectors = torch.linalg.eigh(away.T @ away / (2 * images) + 1e-4 * torch.eye(dims, dtype=torch.float64))
    whitener = (vectors * values.rsqrt()) @ vectors.T
    spectrum = torch.linalg.eigvalsh(whitener @ torch.cov(centres.T) @ whitener).clamp_min(0.0) + 1e-8
    share = spectrum / spectrum.sum()
    assert float(lidar(rows, views)) == pytest.approx(math.exp(float(torch.special.entr(share).sum())), rel=1e-9)


@pytest.mark.parametrize("metric", [rankme, stable_rank, pseudo_condition_number, coherence])
def test_rows_of_zeros_have_no_value_but_a_reason(metric) -> None:
    found = metric(torch.zeros(4, 3))
    assert found.value is None
    assert "zero" in found.reason


@pytest.mark.parametrize("metric", [effective_rank, participation_ratio, nesum, singular_spectrum])
def test_equal_rows_have_no_value_but_a_reason(metric) -> None:
    found = metric(torch.ones(4, 3))
    assert found.value is None
    assert "equal" in found.reason


@pytest.mark.parametrize("rows", [7, 300])
@pytest.mark.parametrize(
    "metric", [effective_rank, participation_ratio, nesum, singular_spectrum, alpha_req, partial(rankme, centred=True)]
)
def test_equal_rows_whose_mean_rounds_have_no_spectrum_of_rounding(metric, rows: int) -> None:
    """Seven times .1 over seven is not .1: what is left has a spectrum of its own."""
    found = metric(torch.tensor([0.1, 1.7, -3.3, 0.4], dtype=torch.float64).expand(rows, -1))
    assert found.value is None
    assert found.reason


@pytest.mark.parametrize("form", ["paper", "reptrix"])
@pytest.mark.parametrize("members", ["views", "original_and_views"])
@pytest.mark.parametrize("dims", [4, 40])
def test_lidar_of_a_collapsed_encoder_is_not_that_of_a_full_one(form: str, members: str, dims: int) -> None:
    """Noise of 1e-32 beside an eps of 1e-8 is a flat spectrum, whose rank would be D."""
    rows = torch.randn(dims, generator=torch.Generator().manual_seed(0), dtype=torch.float64).expand(30, -1)
    found = lidar(rows, rows.expand(2, -1, -1), form=form, members=members)
    assert found.value is None
    assert found.reason == "all images have the same mean"
