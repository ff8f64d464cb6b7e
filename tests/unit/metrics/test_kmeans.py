"""Large problems let their starts race for a few iterations; the leader goes on, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from repdiag.metrics.clusters import kmeans


@pytest.fixture
def every_problem_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "_LARGE", 0)


def islands(count: int, rows: int = 40) -> tuple[torch.Tensor, np.ndarray[Any, Any]]:
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(count, 16, generator=generator)
    features = centres.repeat_interleave(rows, dim=0) + 0.05 * torch.randn(count * rows, 16, generator=generator)
    return features, np.repeat(np.arange(count), rows)


@pytest.mark.usefixtures("every_problem_is_large")
def test_the_leader_of_several_starts_finds_separate_islands() -> None:
    features, truth = islands(8)
    found = kmeans.assignments(features, 8, restarts=5)
    assert adjusted_rand_score(truth, found) == 1.0


@pytest.mark.usefixtures("every_problem_is_large")
@pytest.mark.parametrize(
    ("restarts", "iterations", "expected"),
    [(1, 25, [25]), (3, 25, [5, 5, 5, 20]), (3, 5, [5, 5, 5]), (2, 4, [4, 4])],
)
def test_only_the_leader_goes_on(
    monkeypatch: pytest.MonkeyPatch, restarts: int, iterations: int, expected: list[int]
) -> None:
    trained, ran = kmeans.trained, []

    def counted(*given: Any, **settings: int) -> Any:
        ran.append(settings["niter"])
        return trained(*given, **settings)

    monkeypatch.setattr(kmeans, "trained", counted)
    kmeans.assignments(islands(4)[0], 4, restarts=restarts, iterations=iterations)
    assert ran == expected


@pytest.mark.usefixtures("every_problem_is_large")
def test_the_same_call_gives_the_same_assignments_and_another_seed_other_starts() -> None:
    features = torch.randn(600, 8, generator=torch.Generator().manual_seed(5))
    first, again, other = (kmeans.assignments(features, 20, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert adjusted_rand_score(first, other) < 1.0
