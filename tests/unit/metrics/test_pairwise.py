"""The shared pass: against brute force, for any tile, with ties, out of memory, and shared between metrics."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from repdiag.core.errors import MetricError
from repdiag.metrics import pairwise
from repdiag.metrics.neighbors import mean_average_precision
from repdiag.metrics.pairwise import (
    Pairing,
    PairRequest,
    PositiveRank,
    PotentialSum,
    TopK,
    near_ties,
    over_cross,
    over_pairs,
    passes,
    prefetch,
    raw_rows,
    reduce_cross,
    reduce_pairs,
    sharing,
    unit_rows,
)
from repdiag.metrics.pairwise.rows import UnitRows

SIZES = {"rows": st.integers(3, 70), "dims": st.integers(2, 9), "seed": st.integers(0, 10_000)}


def draw(seed: int, *shape: int, coarse: bool = False) -> Tensor:
    """Return rows; coarse ones hold small integers, so that many of them are equal and many scores tie."""
    generator = torch.Generator().manual_seed(seed)
    if coarse:
        return torch.randint(1, 3, shape, generator=generator).float()
    return torch.randn(*shape, generator=generator)


def scores(left: Tensor, right: Tensor, *, geometry: str) -> Tensor:
    """Return all scores in float64, by products or differences of whole rows: equal rows give equal numbers."""
    left, right = left.double(), right.double()
    if geometry == "raw":
        return -(left[:, None] - right[None]).square().sum(dim=-1)
    left, right = (rows / rows.square().sum(dim=1, keepdim=True).sqrt() for rows in (left, right))
    return (left[:, None] * right[None]).sum(dim=-1)


def prepared(rows: Tensor, geometry: str):
    return raw_rows(rows) if geometry == "raw" else unit_rows(rows)


@settings(max_examples=40, deadline=None)
@given(**SIZES, tile=st.sampled_from([11, 32, 200]), t=st.sampled_from([0.5, 2.0, 9.0]), double=st.booleans())
def test_potentials_are_those_of_all_pairs(*, rows, dims, seed, tile, t, double) -> None:
    data = draw(seed, rows, dims)
    data = data.double() if double else data
    (found,) = reduce_pairs(unit_rows(data), PotentialSum(t), tile=tile)
    potential = (2 * t * (scores(data, data, geometry="unit") - 1)).exp().fill_diagonal_(0.0)
    assert torch.allclose(found, potential.sum(dim=1), rtol=1e-12 if double else 3e-5, atol=1e-30)


@settings(max_examples=40, deadline=None)
@given(
    **SIZES,
    tile=st.sampled_from([11, 32, 200]),
    k=st.integers(1, 20),
    geometry=st.sampled_from(["unit", "raw"]),
    coarse=st.booleans(),
    double=st.booleans(),
)
def test_neighbours_and_their_order_are_exact(*, rows, dims, seed, tile, k, geometry, coarse, double) -> None:
    """Also where many scores tie: equal ones come by index, whatever the tile, as in a stable sort."""
    data = draw(seed, rows, dims, coarse=coarse)
    data = data.double() if double else data
    k = min(k, rows - 1)
    (found,) = reduce_pairs(prepared(data, geometry), TopK(k), tile=tile)
    expected = scores(data, data, geometry=geometry).fill_diagonal_(-torch.inf)
    order = expected.sort(dim=1, descending=True, stable=True).indices[:, :k]
    if coarse and geometry == "unit":
        # Parallel rows of unlike length tie but for the last bit: their order may differ, their scores may not.
        assert torch.allclose(expected.gather(1, found.index), expected.gather(1, order), rtol=0, atol=1e-14)
    else:
        assert torch.equal(found.index, order)
    assert torch.allclose(found.score, expected.gather(1, found.index), rtol=1e-5, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    **SIZES,
    tile=st.sampled_from([11, 32, 200]),
    limit=st.sampled_from([1, 5, 1000]),
    coarse=st.booleans(),
)
def test_ranks_of_positives_are_exact(*, rows, dims, seed, tile, limit, coarse) -> None:
    data, positives = draw(seed, rows, dims, coarse=coarse), draw(seed + 1, rows, dims, coarse=coarse)
    (found,) = reduce_pairs(unit_rows(data), PositiveRank(unit_rows(positives), limit), tile=tile)
    against = scores(data, data, geometry="unit").fill_diagonal_(-torch.inf)
    own = scores(data, positives, geometry="unit").diagonal()[:, None]
    slack = 1e-14  # parallel rows of unlike length tie but for the last bit
    least, most = (against > own + slack).sum(dim=1), (against >= own - slack).sum(dim=1)
    assert bool(((least.clamp(max=limit) <= found.ahead) & (found.ahead <= most.clamp(max=limit))).all())
    assert bool((found.strictly_ahead >= least.clamp(max=limit)).all())
    if not coarse:
        assert torch.equal(found.ahead, most.clamp(max=limit))
        assert torch.equal(found.strictly_ahead, found.ahead)


def test_exact_copies_of_a_positive_are_ties_in_every_tile() -> None:
    """50 copies of each row, and of its positive in another length: none is strictly ahead, 49 are level."""
    rows = torch.eye(4).repeat_interleave(50, dim=0)
    for tile in (64, 1024):
        (found,) = reduce_pairs(unit_rows(rows), PositiveRank(unit_rows(rows * 3), 100), tile=tile)
        assert found.ahead.tolist() == [49] * 200
        assert found.strictly_ahead.tolist() == [0] * 200


def test_two_sets_meet_without_the_named_column() -> None:
    left, right = draw(0, 30, 5), draw(1, 40, 5)
    own = torch.arange(30)
    own[3] = -1  # leaves out nothing
    nearest, potential = reduce_cross(unit_rows(left), unit_rows(right), TopK(4), PotentialSum(2.0), own=own, tile=16)
    expected = scores(left, right, geometry="unit")
    left_out = own >= 0
    expected[left_out.nonzero().flatten(), own[left_out]] = -torch.inf
    assert torch.equal(nearest.index, expected.topk(4).indices)
    assert torch.allclose(potential, (4 * (expected - 1)).exp().sum(dim=1), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    **SIZES,
    k=st.integers(1, 20),
    geometry=st.sampled_from(["unit", "raw"]),
    coarse=st.booleans(),
)
def test_a_search_of_two_sets_is_exact_whoever_proposes(*, rows, dims, seed, k, geometry, coarse) -> None:
    """faiss proposes where no tile is asked for; near ties and equal rows come out as from the tiles, bit for bit."""
    queries, bank = draw(seed, 9, dims, coarse=coarse), draw(seed + 1, rows, dims, coarse=coarse)
    right = prepared(bank, geometry)
    left = raw_rows(queries, like=right) if geometry == "raw" else unit_rows(queries)
    (proposed,) = reduce_cross(left, right, TopK(min(k, rows)))
    (tiled,) = reduce_cross(left, right, TopK(min(k, rows)), tile=16)
    assert torch.equal(proposed.index, tiled.index)
    assert torch.allclose(proposed.score, tiled.score, rtol=0, atol=1e-4)


@pytest.mark.parametrize("cheap", [0, near_ties._CHEAP_PANEL])
@pytest.mark.parametrize("copies", [30, 400])
def test_many_equal_rows_come_by_index(copies: int, cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More copies than candidates: a second round takes in some, whole float64 rows take in any number."""
    monkeypatch.setattr(near_ties, "_CHEAP_PANEL", cheap)
    bank = torch.eye(5).repeat_interleave(copies, dim=0)[torch.arange(5 * copies).view(copies, 5).T.flatten()]
    for tile in (None, 64):
        (found,) = reduce_cross(unit_rows(torch.eye(5)), unit_rows(bank), TopK(8), tile=tile)
        expected = torch.stack([(bank[:, axis] == 1).nonzero().flatten()[:8] for axis in range(5)])
        assert torch.equal(found.index, expected)


@pytest.mark.parametrize("cheap", [0, near_ties._CHEAP_PANEL])
@pytest.mark.parametrize("k", [1, 7, 100])
def test_a_collapsed_space_keeps_its_order(k: int, cheap: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No two scores of a tile differ by more than their errors; in float64 nearly all do."""
    monkeypatch.setattr(near_ties, "_CHEAP_PANEL", cheap)
    rows = draw(9, 1, 48) + 1e-4 * draw(10, 400, 48)
    exact = scores(rows, rows, geometry="unit").fill_diagonal_(-torch.inf)
    found = over_pairs(unit_rows(rows), TopK(k))
    assert float((exact.max() - exact.median()).abs()) < 1e-6
    assert torch.equal(found.index, exact.topk(k, dim=1).indices)
    torch.testing.assert_close(found.score, exact.topk(k, dim=1).values, rtol=0, atol=1e-14)


def test_euclidean_rows_far_from_the_origin_keep_their_neighbours() -> None:
    """At 10^4 from the origin a float32 product knows no distance of 10^-1; the shift by the mean keeps the digits."""
    rows = draw(3, 200, 6)
    near = over_pairs(raw_rows(rows.double()), TopK(5)).index
    far = over_pairs(raw_rows((rows.double() + 1e4).float()), TopK(5)).index
    assert (near == far).double().mean() > 0.9  # the rows themselves were rounded to 10^-3 there


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("quantum", [1.0, 0.25, 1.0 / 128.0])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_equal_distances_of_quantised_rows_are_ties(dtype: torch.dtype, quantum: float, shift: float) -> None:
    """Their order is that of the rows; the digits of a mean that is taken off must not decide it."""
    whole = torch.randint(-6, 7, (200, 3), generator=torch.Generator().manual_seed(11))
    rows = ((whole + shift) * quantum).to(dtype)
    distances = (whole[:, None] - whole[None]).square().sum(dim=2)
    distances.fill_diagonal_(10**6)
    expected = distances.sort(dim=1, stable=True).indices
    (found,) = reduce_pairs(raw_rows(rows), TopK(20), tile=64)
    assert torch.equal(found.index, expected[:, :20])
    bank = over_cross(raw_rows(rows[:50], like=raw_rows(rows)), raw_rows(rows), TopK(20), own=torch.arange(50))
    assert torch.equal(bank.index, expected[:50, :20])
    labels = whole[:, 0]
    relevant = (labels[expected[:, :-1]] == labels[:, None]).double()
    precision = relevant.cumsum(dim=1) / torch.arange(1, 200)
    average = (precision * relevant).sum(dim=1) / relevant.sum(dim=1)
    assert float(mean_average_precision(rows, labels, normalize=False)) == pytest.approx(
        float(average.mean()), abs=1e-12
    )


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_results_do_not_depend_on_how_products_round(precision: str) -> None:
    data, positives = draw(5, 300, 16), draw(6, 300, 16)
    expected = reduce_pairs(unit_rows(data.double()), TopK(7), PositiveRank(unit_rows(positives.double()), 50))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        found = reduce_pairs(unit_rows(data), TopK(7), PositiveRank(unit_rows(positives), 50))
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(found[0].index, expected[0].index)
    assert torch.equal(found[1].ahead, expected[1].ahead)


def test_out_of_memory_halves_the_tile_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[int] = []
    honest = passes._pass

    def greedy(pairing, states, side):
        sides.append(side)
        honest(pairing, states, side)
        if side > 200:
            raise torch.OutOfMemoryError("pretended")

    monkeypatch.setattr(passes, "_pass", greedy)
    rows = unit_rows(draw(0, 300, 4))
    found = reduce_pairs(rows, PotentialSum(2.0), TopK(3), tile=512)
    assert sides == [512, 256, 128]
    monkeypatch.setattr(passes, "_pass", honest)
    expected = reduce_pairs(rows, PotentialSum(2.0), TopK(3), tile=128)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1].index, expected[1].index)


def test_memory_that_never_suffices_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_):
        raise torch.OutOfMemoryError("pretended")

    monkeypatch.setattr(passes, "_pass", never)
    with pytest.raises(torch.OutOfMemoryError):
        reduce_pairs(unit_rows(draw(0, 300, 4)), PotentialSum(2.0))


@pytest.mark.parametrize(("budget", "side"), [(None, 1024), (16 * 256**2, 256), (1, 64), (2**40, 1024)])
def test_a_memory_budget_bounds_the_tile(budget: int | None, side: int) -> None:
    assert passes._default_tile(unit_rows(draw(0, 10, 4)), budget) == side


@contextmanager
def counted_passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Pairing]]:
    seen: list[Pairing] = []
    honest = passes._pass

    def counting(pairing, states, side):
        seen.append(pairing)
        honest(pairing, states, side)

    with monkeypatch.context() as patch:
        patch.setattr(passes, "_pass", counting)
        yield seen


def test_sharing_serves_all_wishes_on_the_same_rows_from_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    features, views = draw(0, 50, 4), draw(1, 2, 50, 4)
    with counted_passes(monkeypatch) as seen, sharing():
        wanted = [PotentialSum(2.0), TopK(9), TopK(3), PositiveRank(unit_rows(views[0]), 5)]
        prefetch(PairRequest(Pairing.within(unit_rows(features)), request) for request in wanted)
        assert len(seen) == 1
        over_pairs(unit_rows(features.detach()), PotentialSum(2.0))
        assert over_pairs(unit_rows(features), TopK(2)).index.shape == (50, 2)
        assert int(over_pairs(unit_rows(features), PositiveRank(unit_rows(views[0]), 3)).ahead.max()) <= 3
        assert len(seen) == 1
        over_pairs(unit_rows(views[1]), PotentialSum(2.0))
        over_pairs(unit_rows(features), TopK(10))
        assert len(seen) == 3
    with counted_passes(monkeypatch) as seen:
        over_pairs(unit_rows(features), PotentialSum(2.0))
        over_pairs(unit_rows(features), PotentialSum(2.0))
        assert len(seen) == 2


def test_a_wish_that_cannot_be_had_is_left_to_whoever_has_it() -> None:
    rows = unit_rows(draw(0, 5, 3))
    with sharing():
        prefetch([PairRequest(Pairing.within(rows), TopK(5))])
        with pytest.raises(MetricError, match=r"wanted 5 neighbours[\s\S]*4 partners"):
            over_pairs(rows, TopK(5))


def test_unlike_dimensions_and_geometries_do_not_meet() -> None:
    with pytest.raises(MetricError, match="differ in dimension"):
        over_cross(unit_rows(draw(0, 5, 3)), unit_rows(draw(0, 5, 4)), TopK(1))
    with pytest.raises(MetricError, match="Euclidean rows only"):
        raw_rows(draw(0, 5, 3), like=unit_rows(draw(0, 5, 3)))


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e300])
def test_unit_rows_of_any_length(scale: float) -> None:
    rows = draw(0, 4, 3).double()
    assert torch.allclose(unit_rows(rows * scale).fast, unit_rows(rows).fast, rtol=1e-12)


def test_half_precision_rows_are_taken_as_they_are() -> None:
    rows = draw(0, 60, 8)
    for dtype in (torch.float16, torch.bfloat16):
        half = rows.to(dtype)
        found = over_pairs(unit_rows(half), TopK(5))
        assert torch.equal(found.index, over_pairs(unit_rows(half.double()), TopK(5)).index)


def test_the_package_offers_what_it_lists() -> None:
    assert all(hasattr(pairwise, name) for name in pairwise.__all__)


def test_exact_scores_keep_no_small_results_between_their_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such results pin the freed buffers of long rows: of 12,000 rows of 4,096 dimensions 18 GB stayed taken."""
    kept: list[weakref.ref[Tensor]] = []
    score = UnitRows.score

    def watched(self: UnitRows, left: Tensor, right: Tensor) -> Tensor:
        assert sum(one() is not None for one in kept) <= 1
        found = score(self, left, right)
        kept.append(weakref.ref(found))
        return found

    monkeypatch.setattr(UnitRows, "score", watched)
    rows, index = unit_rows(draw(0, 8, 16_384)), torch.arange(200) % 8
    scores = rows.exact_scores(index, rows, (index + 1) % 8)
    assert len(kept) > 9
    assert torch.equal(scores, scores[:8].repeat(25))
