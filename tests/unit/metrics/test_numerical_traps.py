"""Traps that public implementations fall into: each shown on the naive form, then avoided by ours."""

from __future__ import annotations

import math

import pytest
import torch

from repdiag.metrics import instance_discrimination_accuracy, linear_cka, rankme
from repdiag.metrics.algebra.moments import float64_unit_rows
from repdiag.metrics.clusters.kmeans import assignments
from repdiag.metrics.pairwise import PositiveRank, reduce_pairs
from repdiag.metrics.pairwise import unit_rows as prepared_rows


def draw(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_float32_gram_matrix_loses_the_small_singular_values() -> None:
    """A spectrum from 1 down to 1e-5: its squares span more than float32 has digits for."""
    base = torch.linalg.qr(draw(0, 3000, 40).double()).Q
    turn = torch.linalg.qr(draw(1, 40, 40).double()).Q
    values = torch.logspace(0, -5, 40, dtype=torch.float64)
    rows = ((base * values) @ turn).float()
    share = values / values.sum() + 1e-7
    expected = math.exp(-float((share * share.log()).sum()))
    naive = torch.linalg.eigvalsh(rows.T @ rows).clamp_min(0).sqrt().double()
    share = naive / naive.sum() + 1e-7
    assert abs(math.exp(-float((share * share.log()).sum())) - expected) > 3e-5 * expected
    # The rows themselves are rounded to float32: 6e-8 of the largest value, a hundredth of the smallest.
    assert float(rankme(rows)) == pytest.approx(expected, rel=1e-6)


def test_cka_of_float32_rows_is_that_of_float64() -> None:
    """No norm over a float32 Gram matrix, whose error grows with its size; a large mean costs no digits either."""
    first = draw(2, 6000, 24) * torch.logspace(0, -2, 24) + 30.0
    second = first[:, :16] + draw(3, 6000, 16)
    for debiased in (True, False):
        single = float(linear_cka(first, other_features=second, debiased=debiased))
        double = float(linear_cka(first.double(), other_features=second.double(), debiased=debiased))
        assert single == pytest.approx(double, rel=1e-7)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_ranks_screened_in_half_precision_are_those_of_float64(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles from rows cut to bfloat16, whatever this machine's own products do: every doubtful pair is redone."""
    rows = draw(4, 80, 32).repeat_interleave(10, dim=0) + 0.02 * draw(5, 800, 32)
    views = rows + 0.02 * draw(8, 800, 32)
    exact = instance_discrimination_accuracy(rows.double(), views[None].double()).per_row
    cut, cut_views = (float64_unit_rows(part).bfloat16().float() for part in (rows, views))
    naive = (cut @ cut.T).fill_diagonal_(-1.0).amax(dim=1) < (cut * cut_views).sum(dim=1)
    assert not torch.equal(naive.double(), exact)

    honest = torch.mm
    steps = {"high": 13, "medium": 16}[precision]  # bits that TF32 and bfloat16 cut off

    def short(left: torch.Tensor, right: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        left, right = (
            (part.contiguous().view(torch.int32) >> steps << steps).view(torch.float32) for part in (left, right)
        )
        return honest(left, right, out=out)

    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: precision)
    monkeypatch.setattr(torch, "mm", short)
    (found,) = reduce_pairs(prepared_rows(rows), PositiveRank(prepared_rows(views), 800))
    monkeypatch.undo()
    (expected,) = reduce_pairs(prepared_rows(rows.double()), PositiveRank(prepared_rows(views.double()), 800))
    assert torch.equal(found.ahead, expected.ahead)
    assert torch.equal((found.ahead < 1).double(), exact)


def test_kmeans_uses_every_row_and_every_iteration() -> None:
    """faiss by itself fits 256 rows a cluster and stops early: its centres are then not the means of their clusters."""
    rows = torch.cat([draw(6, 3000, 3) + 1.5, draw(7, 3000, 3) - 1.5])
    found = torch.from_numpy(assignments(rows, 2, seed=0))
    unit = float64_unit_rows(rows)
    centres = torch.stack([unit[found == cluster].mean(dim=0) for cluster in range(2)])
    again = torch.cdist(unit, centres).argmin(dim=1)
    assert int((again != found).sum()) <= 3  # rows on the border, by float32 rounding
