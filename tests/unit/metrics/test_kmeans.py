"""Large problems share their starts and look again only at what moved; parts of the rows start from what all gave."""

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
from repdiag.metrics.inference.resampling import evaluate_rows
from repdiag.metrics.pairwise.sharing import sharing
from repdiag.metrics.pairwise.whole_rows import Whole, parts_of
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
def test_halves_start_from_the_centres_of_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    features, truth = islands(5)
    labels, starts = torch.from_numpy(truth), []

    def counted(rows: Any, start: Any, **settings: Any) -> Any:
        starts.append((len(rows), start))
        return settled(rows, start, **settings)

    monkeypatch.setattr(kmeans, "settled", counted)
    arguments = {"features": features, "labels": labels, "clusters": 9, "seeds": 1, "seed": 10_001}
    with sharing(), parts_of(Whole(features=features, first_seed=0, seeds=2)):
        value = evaluate_rows(get("ami"), arguments, np.arange(0, 200, 2))
        known = kmeans._solution(features, 9, seed=1, restarts=2, iterations=25)
    assert value is not None
    assert np.array_equal(starts[-1][1], known.centres)
    assert [count for count, _ in starts] == [200, 200, 100]
