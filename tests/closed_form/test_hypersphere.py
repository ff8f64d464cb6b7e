"""Alignment, uniformity, cosines and tolerance of configurations that can be worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics.hypersphere import alignment, alignment_margin, mean_cosine, tolerance, uniformity


def circle(rows: int) -> Tensor:
    """Return rows at equal angles on a circle, of unlike lengths."""
    angle = torch.arange(rows, dtype=torch.float64) * 2 * math.pi / rows
    return torch.stack([angle.cos(), angle.sin()], dim=1) * torch.linspace(0.5, 3.0, rows).double()[:, None]


@pytest.mark.parametrize("t", [0.5, 2.0, 7.0])
def test_uniformity_of_two_opposite_rows_is_that_of_the_diameter(t: float) -> None:
    """One pair, at squared distance 4: log exp(-4t) = -4t."""
    assert float(uniformity(torch.tensor([[2.0, 0.0], [-0.1, 0.0]], dtype=torch.float64), t=t)) == pytest.approx(-4 * t)


def test_uniformity_of_a_collapsed_space_is_zero() -> None:
    """All squared distances are 0, every potential is 1; the 0 must not turn positive in float32."""
    rows = torch.tensor([[0.3, -1.7, 0.2]]).repeat(300, 1)
    assert float(uniformity(rows)) == pytest.approx(0.0, abs=1e-6)
    assert float(uniformity(rows)) <= 0.0


@pytest.mark.parametrize("dims", [3, 8])
def test_uniformity_of_the_axes_counts_opposite_and_orthogonal_pairs(dims: int) -> None:
    """2D rows +-e_i: of D (2D - 1) pairs D lie at squared distance 4 and the rest at 2."""
    rows = torch.cat([torch.eye(dims), -torch.eye(dims)]).double()
    pairs = dims * (2 * dims - 1)
    expected = math.log((dims * math.exp(-8.0) + (pairs - dims) * math.exp(-4.0)) / pairs)
    found = uniformity(rows)
    assert float(found) == pytest.approx(expected, rel=1e-12)
    assert found.per_row is not None
    assert found.per_row.log().tolist() == pytest.approx([expected] * 2 * dims)


def test_uniformity_of_a_uniform_sample_is_that_of_the_sphere() -> None:
    """On the 2-sphere s = cos is uniform in [-1, 1]: E exp(-2t(1 - s)) = (1 - exp(-4t)) / (4t); t = 2.

    N = 4,000 rows: the pair mean scatters by less than 1 %.
    """
    rows = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    assert float(uniformity(rows)) == pytest.approx(math.log((1 - math.exp(-8.0)) / 8.0), abs=0.01)


def test_distances_far_below_rounding_do_not_break_uniformity() -> None:
    """Two near-copies in float32: 2 - 2 cos may come out at -1e-7, the potential may not exceed 1."""
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0 + 1e-7]])
    assert -1e-5 < float(uniformity(rows)) <= 0.0


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 2, math.pi])
@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_alignment_of_turned_views_is_their_chord(angle: float, alpha: float) -> None:
    """Every view is its original turned by a: the chord is 2 sin(a / 2). View 2 is turned by 3a against view 1."""

    def turned(by: float) -> Tensor:
        return torch.tensor([[math.cos(by), math.sin(by)], [-math.sin(by), math.cos(by)]], dtype=torch.float64)

    rows = circle(7)
    views = torch.stack([2.0 * rows @ turned(angle), rows @ turned(4 * angle)])
    found = alignment(rows, views, alpha=alpha)
    assert float(found) == pytest.approx((2 * math.sin(angle / 2)) ** alpha, abs=1e-12)
    between = alignment(rows, views, pair="view-view", alpha=alpha)
    assert float(between) == pytest.approx(abs(2 * math.sin(3 * angle / 2)) ** alpha, abs=1e-12)


def test_a_view_too_few_is_said() -> None:
    with pytest.raises(MetricError, match="needs two views"):
        alignment(torch.eye(3), torch.eye(3)[None], pair="view-view")


@pytest.mark.parametrize("rows", [2, 5, 100])
def test_cosines_of_a_balanced_circle_cancel(rows: int) -> None:
    """The unit rows sum to zero: mean cosine = (0 - N) / (N (N - 1)) = -1 / (N - 1); with perfect views the margin is
    1 + 1 / (N - 1).
    """
    assert float(mean_cosine(circle(rows))) == pytest.approx(-1 / (rows - 1))
    assert float(alignment_margin(circle(rows), 3 * circle(rows)[None])) == pytest.approx(1 + 1 / (rows - 1))


def test_a_cone_has_alignment_but_no_margin() -> None:
    """Rows and views within 1e-3 of one direction: alignment looks perfect, the margin shows nothing was learned."""
    noise = torch.randn(2, 200, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rows, views = 1.0 + 1e-3 * noise[0], 1.0 + 1e-3 * noise[1:]
    assert float(alignment(rows, views)) < 1e-5
    assert abs(float(alignment_margin(rows, views))) < 1e-6
    assert float(mean_cosine(rows)) > 0.9999


@pytest.mark.parametrize("angle", [0.2, 1.0])
def test_tolerance_of_unequal_classes(angle: float) -> None:
    """Class 0: two rows at angle a, one pair of cosine cos a. Class 1: three equal rows, three pairs of cosine 1.

    Pairs alike: (cos a + 3) / 4; classes alike: (cos a + 1) / 2; dividing by n_c^2 instead: (2 cos a / 4 + 6 / 9) / 2;
    over all 10 pairs: (cos a + 3) / 10; over all 25 with the diagonal: (2 cos a + 6 + 5) / 25.
    """
    rows = torch.tensor([[1.0, 0.0], [math.cos(angle), math.sin(angle)]] + [[0.0, 2.0]] * 3, dtype=torch.float64)
    labels, cosine = torch.tensor([4, 4, 9, 9, 9]), math.cos(angle)
    expected = {
        "pairs": (cosine + 3) / 4,
        "classes": (cosine + 1) / 2,
        "classes_with_self": (cosine / 2 + 2 / 3) / 2,
        "all_pairs": (cosine + 3) / 10,
        "all_pairs_with_self": (2 * cosine + 11) / 25,
    }
    found = {average: float(tolerance(rows, labels, average=average)) for average in expected}
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_row_of_zeros_is_named() -> None:
    rows = torch.eye(6)
    rows[4] = 0.0
    with pytest.raises(MetricError, match=r"no direction[\s\S]*1 such rows: 4"):
        uniformity(rows)
