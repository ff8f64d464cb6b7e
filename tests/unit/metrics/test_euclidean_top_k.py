"""Euclidean neighbours from tiles of cosines are those of a pass over the rows themselves."""

from __future__ import annotations

import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.pairwise import TopK, euclidean_neighbors, passes, raw_rows, reduce_pairs

ROWS, DIMS = 900, 16


def drawn(kind: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    rows = torch.randn(ROWS, DIMS, generator=generator)
    if kind == "lengths":  # from a tenth to ten times the usual one
        return rows * 10.0 ** (2.0 * torch.rand(ROWS, 1, generator=generator) - 1.0)
    if kind == "rectified":  # as after a ReLU: all in one orthant, some way from the origin
        return rows.abs() + 0.5
    if kind == "copies":
        return torch.cat([rows[: ROWS // 3]] * 3)
    if kind == "collinear":  # one direction, told apart by length alone
        return torch.rand(ROWS, 1, generator=generator).add(0.1) * torch.ones(1, DIMS)
    return rows


@pytest.mark.parametrize("kind", ["normal", "lengths", "rectified", "copies", "collinear"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_same_neighbors_in_the_same_order(kind: str, dtype: torch.dtype) -> None:
    features = drawn(kind).to(dtype)
    found = euclidean_neighbors(features, 5)
    assert found is not None
    unit, wish = found
    (ours,) = reduce_pairs(unit, wish, tile=64)
    (theirs,) = reduce_pairs(raw_rows(features), TopK(5), tile=64)
    assert torch.equal(ours.index, theirs.index)
    # Scores that nothing is near to stay as rounded as their tiles.
    scale = float(features.double().square().sum(dim=1).max())
    assert torch.allclose(ours.score, theirs.score, rtol=0.0, atol=scale * 64 * torch.finfo(dtype).eps)


def test_rows_far_from_the_origin_and_rows_of_zeros_are_left_to_their_own_pass() -> None:
    assert euclidean_neighbors(drawn("normal") + 1_000.0, 2) is None
    with_zero = drawn("normal")
    with_zero[3] = 0.0
    assert euclidean_neighbors(with_zero, 2) is None


def test_the_whole_family_is_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    features = drawn("rectified")
    views = features + 0.1 * torch.randn(1, ROWS, DIMS, generator=torch.Generator().manual_seed(8))
    family = [
        *("uniformity", "instance_discrimination_accuracy", "two_nn_dimension", "hubness"),
        *("r_precision", "precision_at_1", "map_at_r"),
    ]
    made: list[object] = []
    one_pass = passes._pass
    monkeypatch.setattr(passes, "_pass", lambda *a, **k: made.append(a) or one_pass(*a, **k))
    table = evaluate(
        EmbeddingSet(features=features, views=views, labels=torch.arange(ROWS) % 9),
        [(name, {"pair": "original-view"}) if name.startswith("instance") else name for name in family],
        intervals=False,
    )
    assert len(made) == 1
    assert all(row.value is not None for row in table)
