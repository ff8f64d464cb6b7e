"""Which encoder to take: the order, how sure it is, and what model size alone would have said."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.encoder_cost import EncoderCost
from repdiag.core.errors import DataError, MetricError
from repdiag.diagnosis import ranking
from repdiag.diagnosis.ranking import BY_LABELS, COLUMNS, HALVES, chances_of_best, probe_accuracy, rank_encoders
from repdiag.embeddings import cost
from repdiag.embeddings.cost import measure_cost


def encoders(*noise: float, rows: int = 100, classes: int = 5, seed: int = 0) -> dict[str, EmbeddingSet]:
    """Return encoders of the same images: the same class centres and their own noise of the given widths."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(rows) % classes
    centres = torch.randn(classes, 12, generator=draw)
    return {
        f"noise {width:g} ({place})": EmbeddingSet(
            features=centres[labels] + width * torch.randn(rows, 12, generator=draw), labels=labels
        )
        for place, width in enumerate(noise)
    }


def test_a_clearly_better_encoder_is_first_by_every_score() -> None:
    found = rank_encoders(encoders(3.0, 0.5, 1.5))
    frame = found.frame
    assert tuple(frame.columns) == COLUMNS
    assert list(dict.fromkeys(frame["by"])) == list(BY_LABELS)
    for _, rows in frame.groupby("by"):
        assert rows["checkpoint"].tolist() == ["noise 0.5 (1)", "noise 1.5 (2)", "noise 3 (0)"]
        assert rows["rank"].tolist() == [1, 2, 3]
        assert rows["p_best"].iloc[0] > 0.99
        assert rows["p_best"].sum() == pytest.approx(1.0)
    assert found.summary.startswith("noise 0.5 (1) is best by logme")
    assert "No encoder is clearly" not in found.summary


def test_equally_good_encoders_are_seldom_called_sure() -> None:
    """Scores of two encoders, correlated .9, equal in truth; halves that spread as the scores do. The better one then
    has a probability above .975 in 5 % of 1,000 draws: 2.5 to 7.5 % are 3.6 standard errors."""
    draw = np.random.default_rng(0)
    root = np.linalg.cholesky(np.array([[1.0, 0.9], [0.9, 1.0]]))
    sure = 0
    for _ in range(1000):
        values = 0.3 + 0.02 * root @ draw.standard_normal(2)
        halves = values + 0.02 * draw.standard_normal((HALVES, 2)) @ root.T
        sure += chances_of_best(values, halves, draws=4000).max() > 0.975
    assert 25 <= sure <= 75


def test_two_copies_of_one_encoder_share_the_first_place() -> None:
    one = encoders(1.0)["noise 1 (0)"]
    frame = rank_encoders({"a": one, "b": one}).frame
    assert frame["rank"].tolist() == [1] * 6
    assert frame["p_best"].tolist() == pytest.approx([0.5] * 6)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ((10, 99), "would have chosen the same: noise 0.5 (1) is the largest"),
        ((99, 10), "Model size alone would have chosen noise 2 (0)"),
        ((10, 10), "would not choose"),
    ],
)
def test_model_size_stands_beside_as_the_baseline(parameters, said: str) -> None:
    sets = encoders(2.0, 0.5)
    costs = {
        name: EncoderCost(parameters=count, width=12, gflops=0.1, ms_per_image=2.0)
        for name, count in zip(sets, parameters, strict=True)
    }
    found = rank_encoders(sets, costs)
    assert said in found.summary
    assert set(found.frame["ms_per_image"]) == {2.0}


def test_without_labels_views_decide() -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(60, 8, generator=draw)
    sets = {
        name: EmbeddingSet(features=images, views=images[None] + width * torch.randn(1, 60, 8, generator=draw))
        for name, width in (("blurred", 2.0), ("sharp", 0.3))
    }
    frame = rank_encoders(sets).frame
    assert frame["checkpoint"].tolist() == ["sharp", "blurred"]
    assert set(frame["by"]) == {"instance_discrimination_accuracy"}
    with pytest.raises(MetricError, match="labels, or by views"):
        rank_encoders({"bare": EmbeddingSet(features=images), "other": EmbeddingSet(features=images)})


def test_other_rows_or_labels_are_refused() -> None:
    sets = encoders(1.0, 1.0)
    first, second = sets.values()
    with pytest.raises(MetricError, match="same rows"):
        rank_encoders({"a": first, "b": second.select(range(50))})
    turned = EmbeddingSet(
        features=second.features, labels=torch.randint(5, (100,), generator=torch.Generator().manual_seed(1))
    )
    with pytest.raises(DataError, match="label"):
        rank_encoders({"a": first, "b": turned})


def test_many_rows_are_cut_to_the_same_share_of_every_class() -> None:
    sets = encoders(0.5, 3.0, rows=240, classes=3)
    few, all_rows = rank_encoders(sets, max_rows=90).frame, rank_encoders(sets).frame
    assert few["checkpoint"].tolist() == all_rows["checkpoint"].tolist()


def test_the_probe_is_at_chance_on_noise_and_right_on_separable_classes() -> None:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 4
    noise = probe_accuracy(torch.randn(400, 10, generator=draw), labels)
    assert noise == pytest.approx(0.25, abs=0.09)  # four standard errors of a share of 400
    assert probe_accuracy(torch.eye(4)[labels] + 0.01 * torch.randn(400, 4, generator=draw), labels) == 1.0
    assert probe_accuracy(torch.ones(400, 3), labels) == 0.25
    assert probe_accuracy(torch.randn(5, 2), torch.zeros(5, dtype=torch.long)) is None


@pytest.mark.parametrize("function", [rank_encoders, chances_of_best, probe_accuracy, measure_cost])
def test_the_examples_hold(function) -> None:
    names = {**vars(ranking), **vars(cost)}
    tests = doctest.DocTestFinder(recurse=False).find(function, function.__name__, globs=names)
    assert [doctest.DocTestRunner().run(test).failed for test in tests if test.examples] == [0]
