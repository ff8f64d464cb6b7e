"""Class distances of configurations that can be worked out by hand."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.classes import (
    calinski_harabasz,
    cdnv,
    class_distance_ratio,
    davies_bouldin,
    inter_class_distance,
    intra_class_distance,
    nc1,
    nc2,
    silhouette,
)


def two_points_a_class(angle: float) -> tuple[Tensor, Tensor]:
    """Two classes around the x and the y axis, each of two rows at plus and minus `angle` from its axis."""
    turns = torch.tensor([-angle, angle, math.pi / 2 - angle, math.pi / 2 + angle], dtype=torch.float64)
    lengths = torch.tensor([[1.0], [2.0], [0.5], [3.0]], dtype=torch.float64)
    return lengths * torch.stack([turns.cos(), turns.sin()], dim=1), torch.tensor([0, 0, 1, 1])


def simplex(classes: int) -> Tensor:
    """Rows at the corners of a regular simplex about the origin: e_c minus their mean."""
    return torch.eye(classes, dtype=torch.float64) - 1.0 / classes


@pytest.mark.parametrize("angle", [0.1, 0.5, 1.2])
def test_intra_class_distance_of_two_rows_is_their_chord(angle: float) -> None:
    """Two unit rows 2a apart: ||z - z'||^2 = 2 - 2 cos 2a, the same in both classes."""
    rows, labels = two_points_a_class(angle)
    found = intra_class_distance(rows, labels)
    assert float(found) == pytest.approx(2.0 - 2.0 * math.cos(2 * angle), rel=1e-12)
    assert found.per_class is not None
    assert found.per_class.tolist() == pytest.approx([float(found)] * 2)


@pytest.mark.parametrize("angle", [0.1, 0.5, 1.2])
def test_inter_class_distance_of_right_angles(angle: float) -> None:
    """Means cos(a) e_x and cos(a) e_y have product 0, so the mean over the four pairs is 2 whatever the angle."""
    rows, labels = two_points_a_class(angle)
    assert float(inter_class_distance(rows, labels)) == pytest.approx(2.0, rel=1e-12)
    assert float(inter_class_distance(rows, labels, between="means")) == pytest.approx(2.0 * math.cos(angle) ** 2)
    ratio = class_distance_ratio(rows, labels)
    assert float(ratio) == pytest.approx(1.0 - math.cos(2 * angle), rel=1e-12)


def test_inter_class_distance_of_a_collapsed_simplex() -> None:
    """Cosines between corners are -1/(C - 1), so squared distances are 2 + 2/(C - 1)."""
    rows, labels = simplex(5).repeat_interleave(3, dim=0), torch.arange(5).repeat_interleave(3)
    assert float(inter_class_distance(rows, labels)) == pytest.approx(2.5, rel=1e-12)
    assert float(intra_class_distance(rows, labels)) == pytest.approx(0.0, abs=1e-12)


def test_pair_averages_weigh_classes_by_their_pairs() -> None:
    """Class 0: three copies (3 pairs at distance 0); class 1: two opposite rows (1 pair at 4): means 2 and 1."""
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    labels = torch.tensor([0, 0, 0, 1, 1])
    assert float(intra_class_distance(rows, labels)) == pytest.approx(2.0)
    assert float(intra_class_distance(rows, labels, average="pairs")) == pytest.approx(1.0)


def test_singleton_classes_are_left_out_and_counted() -> None:
    rows, labels = two_points_a_class(0.3)
    rows, more = torch.cat([rows, rows[:1]]), torch.cat([labels, torch.tensor([7])])
    found = intra_class_distance(rows, more)
    assert float(found) == pytest.approx(float(intra_class_distance(rows[:4], labels)))
    assert found.extra["singleton_classes"] == 1


def test_cdnv_of_two_balls_on_a_line() -> None:
    """Rows m +- s: variance s^2. Two classes s_1 = 1, s_2 = 2, means 10 apart: (1 + 4) / (2 * 100)."""
    rows = torch.tensor([[99.0], [101.0], [108.0], [112.0]], dtype=torch.float64)
    assert float(cdnv(rows, torch.tensor([3, 3, 9, 9]))) == pytest.approx(5.0 / 200.0, rel=1e-12)


def test_nc1_and_its_quotient_on_a_line() -> None:
    """In one dimension S_W = (1 + 4)/2 and S_B = 5^2, so the quotient is .1 and the pinv form half of it (C = 2)."""
    rows, labels = torch.tensor([[-1.0], [1.0], [8.0], [12.0]], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
    assert float(nc1(rows, labels, method="quotient")) == pytest.approx(0.1, rel=1e-12)
    assert float(nc1(rows, labels)) == pytest.approx(0.05, rel=1e-12)


def test_nc1_does_not_see_scatter_outside_the_span_of_the_means() -> None:
    """Scatter along y only, means along x: S_W S_B^+ = 0, though the quotient is not."""
    rows = torch.tensor([[1.0, 1.0], [1.0, -1.0], [3.0, 1.0], [3.0, -1.0]], dtype=torch.float64)
    labels = torch.tensor([0, 0, 1, 1])
    assert float(nc1(rows, labels)) == pytest.approx(0.0, abs=1e-12)
    assert float(nc1(rows, labels, method="quotient")) == pytest.approx(1.0)


@pytest.mark.parametrize("shift", [1e6, 1e8])
@pytest.mark.parametrize("metric", [cdnv, nc1, partial(nc1, method="quotient"), partial(nc1, center="rows"), nc2])
def test_rows_far_from_the_origin_keep_the_digits_of_their_spread(metric, shift: float) -> None:
    rows = torch.randn(60, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + shift
    labels = torch.arange(60) % 4
    # What is left of the rows when they are stored so far away, brought back without rounding.
    assert float(metric(rows, labels)) == pytest.approx(float(metric(rows - shift, labels)), rel=1e-9)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_nc2_is_zero_on_a_simplex_wherever_it_lies(classes: int) -> None:
    rows = 3.0 * simplex(classes) + 5.0
    assert float(nc2(rows, torch.arange(classes))) == pytest.approx(0.0, abs=1e-12)


def test_nc2_of_collinear_means() -> None:
    """Means -1, 0, 1: M M^T / norm = [[1,0,-1],[0,0,0],[-1,0,1]] / 2; the ideal is (I - 1/3) / sqrt 2.

    ||A - B||^2 = 2 - 2 <A, B> for unit norms, and <A, B> = tr(A) / sqrt 2 = 1 / sqrt 2, as A has row sums 0.
    """
    rows = torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64)
    assert float(nc2(rows, torch.arange(3))) == pytest.approx(math.sqrt(2.0 - math.sqrt(2.0)), rel=1e-12)


@pytest.mark.parametrize("angle", [0.2, 0.6])
def test_silhouette_of_two_rows_a_class(angle: float) -> None:
    """For the row at -a: own distance 1 - cos 2a; the others are at 90 deg and 90 deg + 2a from it.

    b = 1 - (cos(90) + cos(90 + 2a)) / 2 = 1 + sin(2a) / 2 for the outer rows, 1 - sin(2a) / 2 for the inner ones.
    """
    rows, labels = two_points_a_class(angle)
    own = 1.0 - math.cos(2 * angle)
    scores = [(b - own) / max(b, own) for b in (1 + math.sin(2 * angle) / 2, 1 - math.sin(2 * angle) / 2)]
    assert float(silhouette(rows, labels)) == pytest.approx(sum(scores) / 2, rel=1e-12)


def test_davies_bouldin_and_calinski_harabasz_of_right_angles() -> None:
    """Means cos(a) e_x, cos(a) e_y: sqrt 2 cos(a) apart; every row is sin(a) from its mean.

    Davies-Bouldin: 2 sin a / (sqrt 2 cos a).
    Calinski-Harabasz: between 4 (cos^2 a) / 2 over 1, within 4 sin^2 a over 2.
    """
    angle = 0.4
    rows, labels = two_points_a_class(angle)
    assert float(davies_bouldin(rows, labels)) == pytest.approx(math.sqrt(2.0) * math.tan(angle), rel=1e-12)
    assert float(calinski_harabasz(rows, labels)) == pytest.approx(1.0 / math.tan(angle) ** 2, rel=1e-12)


@pytest.mark.parametrize("metric", [inter_class_distance, class_distance_ratio, cdnv, nc1, nc2, silhouette])
def test_one_class_has_no_value_but_a_reason(metric) -> None:
    found = metric(torch.eye(4), torch.zeros(4, dtype=torch.int64))
    assert found.value is None
    assert "two classes" in found.reason


@pytest.mark.parametrize("metric", [cdnv, nc1, nc2, davies_bouldin])
def test_equal_class_means_have_no_value_but_a_reason(metric) -> None:
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    found = metric(rows, torch.tensor([0, 0, 1, 1]))
    assert found.value is None
    assert "same mean" in found.reason


def test_a_row_of_zeros_is_an_error() -> None:
    with pytest.raises(MetricError, match="row of zeros"):
        intra_class_distance(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))
