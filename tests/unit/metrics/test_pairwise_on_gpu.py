"""Passes over pairs on a GPU: the values of float64, in every precision, at any tile, when memory runs out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from repdiag.metrics.pairwise import (
    PositiveRank,
    PotentialSum,
    TopK,
    euclidean_neighbors,
    passes,
    raw_rows,
    reduce_cross,
    reduce_pairs,
    unit_rows,
)

pytestmark = pytest.mark.gpu

PRECISIONS = ("highest", "high", "medium")
ROWS, DIMS = 1500, 48


@pytest.fixture(autouse=True)
def _as_it_was():
    """Leave torch's precision as it was found."""
    before = torch.get_float32_matmul_precision()
    yield
    torch.set_float32_matmul_precision(before)


def sets() -> tuple[Tensor, Tensor]:
    """Return rows around 20 centres and a view of each; a few rows are copies."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(20, DIMS, generator=generator)
    rows = centres[torch.randint(0, 20, (ROWS,), generator=generator)] + torch.randn(ROWS, DIMS, generator=generator)
    rows[100:110] = rows[:10]
    return rows, rows + 0.5 * torch.randn(ROWS, DIMS, generator=generator)


def cosines(left: Tensor, right: Tensor) -> Tensor:
    left, right = (rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in (left, right))
    return left @ right.T


@pytest.mark.parametrize("tile", [64, 500, 8192])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_ranks_and_neighbours_are_those_of_the_cpu(precision: str, tile: int) -> None:
    rows, views = sets()
    wanted = reduce_pairs(unit_rows(rows), PositiveRank(unit_rows(views), 5), TopK(10))
    torch.set_float32_matmul_precision(precision)
    gpu, gpu_views = rows.cuda(), views.cuda()
    ranks, nearest = reduce_pairs(unit_rows(gpu), PositiveRank(unit_rows(gpu_views), 5), TopK(10), tile=tile)
    assert torch.equal(ranks.ahead.cpu(), wanted[0].ahead)
    assert torch.equal(ranks.strictly_ahead.cpu(), wanted[0].strictly_ahead)
    assert torch.equal(nearest.index.cpu(), wanted[1].index)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("geometry", [unit_rows, raw_rows])
def test_neighbours_in_another_set(geometry, precision: str) -> None:
    rows, views = sets()
    left = geometry(views[:400])
    (wanted,) = reduce_cross(left, geometry(rows) if geometry is unit_rows else raw_rows(rows, like=left), TopK(7))
    torch.set_float32_matmul_precision(precision)
    left = geometry(views[:400].cuda())
    right = geometry(rows.cuda()) if geometry is unit_rows else raw_rows(rows.cuda(), like=left)
    (found,) = reduce_cross(left, right, TopK(7))
    assert torch.equal(found.index.cpu(), wanted.index)


@pytest.mark.parametrize(("precision", "tolerance"), [("highest", 1e-6), ("high", 1e-3), ("medium", 1e-2)])
def test_potentials(precision: str, tolerance: float) -> None:
    rows, _ = sets()
    wanted = (4.0 * (cosines(rows, rows) - 1.0)).exp().fill_diagonal_(0.0).sum(dim=1)
    torch.set_float32_matmul_precision(precision)
    for tile in (100, 8192):
        (found,) = reduce_pairs(unit_rows(rows.cuda()), PotentialSum(2.0), tile=tile)
        assert found.dtype == torch.float64
        assert torch.allclose(found.cpu(), wanted, rtol=tolerance, atol=0.0)
    (double,) = reduce_pairs(unit_rows(rows.cuda().double()), PotentialSum(2.0))
    assert torch.allclose(double.cpu(), wanted, rtol=1e-12, atol=0.0)


def test_euclidean_neighbours_from_tiles_of_cosines() -> None:
    rows, _ = sets()
    found = euclidean_neighbors(rows.cuda(), 3)
    assert found is not None
    unit, wish = found
    (nearest,) = reduce_pairs(unit, wish)
    distances = torch.cdist(rows.double(), rows.double()).fill_diagonal_(torch.inf)
    assert torch.allclose(distances.gather(1, nearest.index.cpu()), distances.sort(dim=1).values[:, :3], atol=1e-6)


def test_an_exhausted_memory_halves_the_tile(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = sets()
    sides = []
    whole = passes._pass

    def scarce(pairing, states, side) -> None:
        sides.append(side)
        if side > 1024:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda")  # raises what a full device does
        whole(pairing, states, side)

    monkeypatch.setattr(passes, "_pass", scarce)
    (found,) = reduce_pairs(unit_rows(rows.cuda()), PotentialSum(2.0), tile=8192)
    assert sides == [8192, 4096, 2048, 1024]
    assert bool(torch.isfinite(found).all())
