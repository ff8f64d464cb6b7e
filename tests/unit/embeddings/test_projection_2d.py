"""Maps for looking at: groups stay groups, few rows have a map too, and a seed fixes every bit."""

from __future__ import annotations

import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from repdiag.embeddings.projection_2d import method_for, project_2d


def groups(*, size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(3).repeat_interleave(size)
    return torch.randn(3, 24, generator=draw)[labels] + 0.2 * torch.randn(3 * size, 24, generator=draw), labels


@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_rows_of_one_group_stay_together(method: str) -> None:
    rows, labels = groups(size=20)
    plane = project_2d(rows, method=method)  # type: ignore[arg-type]
    nearest = (torch.cdist(plane, plane) + torch.diag(torch.full((60,), torch.inf))).argmin(1)
    assert (labels[nearest] == labels).float().mean() > 0.95


def test_tsne_is_the_same_to_the_bit_on_any_number_of_threads_and_follows_the_seed() -> None:
    rows, _ = groups(size=20)
    with threadpool_limits(1):
        first = project_2d(rows, method="tsne", seed=3)
    with threadpool_limits(2):
        assert torch.equal(first, project_2d(rows, method="tsne", seed=3))
    rows[0] = rows[1]  # a copy has the place of its original, not none
    assert project_2d(rows, method="tsne", seed=4).isfinite().all()


@pytest.mark.parametrize("count", [1, 4, 5, 16])
@pytest.mark.parametrize("method", ["umap", "tsne"])
def test_few_rows_have_a_map_and_it_is_called_what_it_is(method: str, count: int) -> None:
    plane = project_2d(groups(size=6)[0][:count], method=method)  # type: ignore[arg-type]
    assert plane.shape == (count, 2)
    assert plane.isfinite().all()
    assert method_for(count, method) == ("tsne" if method == "tsne" and count >= 5 else "pca")  # type: ignore[arg-type]
