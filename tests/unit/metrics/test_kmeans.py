"""Large problems share their starts and look again only at what moved; of parts of the rows the result is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from repdiag.metrics.clusters import kmeans
from repdiag.metrics.clusters.lloyd import best_of
from repdiag.metrics.clusters.moving_centres import settled
from repdiag.metrics.clusters.shared_starts import SharedStart
from repdiag.metrics.inference import resampling
from repdiag.metrics.inference.resampling import evaluate_rows
from repdiag.metrics.pairwise.sharing import sharing
from repdiag.metrics.registry import get


@pytest.fixture
def every_problem_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kmeans, "_LARGE", 0)


def islands(count: int, rows: int = 40) -> tuple[torch.Tensor, np.ndarray[Any, Any]]:
    generator = torch.Generator().manual_seed(3)
    centres = torch.randn(count, 16, generator=generator)
    features = centres.repeat_interleave(rows, dim=0) + 0.05 * torch.randn(count * rows, 16, generator=generator)
    return features, np.repeat(np.arange(count), rows)


@pytest.mark.usefixtures("every_problem_is_large")
def test_the_best_of_several_starts_finds_separate_islands() -> None:
    features, truth = islands(8)
    found = kmeans.assignments(features, 8, restarts=5)
    assert adjusted_rand_score(truth, found) == 1.0


@pytest.mark.usefixtures("every_problem_is_large")
def test_the_same_call_gives_the_same_assignments_and_another_seed_other_starts() -> None:
    features = torch.randn(600, 8, generator=torch.Generator().manual_seed(5))
    first, again, other = (kmeans.assignments(features, 20, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert adjusted_rand_score(first, other) < 1.0


@pytest.mark.parametrize("clusters", [6, 60])
def test_iterations_over_what_moved_end_where_those_over_everything_end(clusters: int) -> None:
    rows = np.random.default_rng(0).standard_normal((400, 6)).astype(np.float32)
    start = SharedStart(rows, seed=(0,)).first(clusters)
    whole = best_of(rows, start[None], iterations=100)
    assert np.array_equal(settled(rows, start, iterations=100, tolerance=0.0).assigned, whole)


def test_a_start_of_fewer_clusters_is_the_beginning_of_a_start_of_more() -> None:
    rows = np.random.default_rng(0).standard_normal((900, 6)).astype(np.float32)
    most = SharedStart(rows, seed=(4,)).first(300)
    step_by_step = SharedStart(rows, seed=(4,))
    for clusters in (1, 40, 7, 123):
        assert np.array_equal(step_by_step.first(clusters), most[:clusters])
    assert len(np.unique(most, axis=0)) == 300


@pytest.mark.usefixtures("every_problem_is_large")
def test_a_shared_start_ends_no_higher_than_scikit_learns() -> None:
    """Greedy k-means++ both; the mean over seeds, of which a single one differs by a percent."""
    features = torch.randn(800, 12, generator=torch.Generator().manual_seed(5))
    rows = torch.nn.functional.normalize(features).numpy()

    def objective(found: Any) -> float:
        return sum(
            float(np.square(part - part.mean(axis=0)).sum()) for part in (rows[found == k] for k in np.unique(found))
        )

    ours = [objective(kmeans.assignments(features, 100, seed=seed, restarts=1)) for seed in range(4)]
    theirs = [KMeans(100, n_init=1, max_iter=25, random_state=seed).fit(rows).inertia_ for seed in range(4)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.01)


@pytest.mark.usefixtures("every_problem_is_large")
def test_what_a_part_gave_is_known_after_its_rows_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    features, truth = islands(5)
    arguments = {"features": features, "labels": torch.from_numpy(truth), "clusters": 9, "seeds": 1, "seed": 3}
    monkeypatch.setattr(resampling, "_REMEMBERED", 0)
    with sharing():
        first = evaluate_rows(get("ami"), arguments, np.arange(0, 200, 2))
        other = evaluate_rows(get("ami"), arguments, np.arange(1, 200, 2))
        monkeypatch.setattr(kmeans, "settled", None)  # nothing is clustered any more
        assert evaluate_rows(get("ami"), arguments, np.arange(0, 200, 2)) == first
        assert evaluate_rows(get("homogeneity"), arguments, np.arange(1, 200, 2)) is not None
    assert first != other
